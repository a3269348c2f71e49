"""Who names his program twice gets no request past the limits that hold for everybody."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.http_parser import HttpRequestParser

from handlers.double_names import _MAX_NAMES, NamesTwiceParser
from tests.e2e.harness import Rig, open_rig
from tests.handlers.test_double_names import Protocol
from tests.security.shapes import failures_in
from tests.security.test_smuggling import BODY, CASES, CHUNKED, INNER, LENGTH, TE, post
from tests.security.wire import Answer, answers, connected

FIRST = b"Host: x\r\n"
NAMES = b"User-Agent: first\r\nuser-AGENT: second\r\n"
NAME = b"User-Agent: again\r\n"


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        await opened.add_provider("messages")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


async def in_pieces(rig: Rig, *requests: tuple[bytes, ...]) -> list[Answer]:
    """Send each piece as a segment of its own, and the next request when one is answered; the last
    one closes the connection."""
    found: list[Answer] = []
    async with connected(rig) as wire:
        for pieces in requests:
            for piece in pieces:
                await wire.send(piece)
                await asyncio.sleep(0.002)
            if (answer := await wire.answer()) is not None:
                found.append(answer)
        while (more := await wire.answer()) is not None:
            found.append(more)
    return found


def named() -> dict[str, bytes]:
    """Return the requests that are smuggled nowhere, each with two names in front and behind."""
    found = {}
    for name, data in CASES.items():
        if data.count(FIRST) < 2 or name == "upgrade":
            continue  # not even the line ends are those of HTTP
        found[f"{name}, names in front"] = data.replace(FIRST, FIRST + NAMES, 1)
        start, end, rest = data.partition(b"\r\n\r\n")
        found[f"{name}, names behind"] = start + b"\r\n" + NAMES.strip() + end + rest
    return found


async def test_two_names_smuggle_nothing(rig: Rig) -> None:
    cases = named()
    assert len(cases) > 140
    for number, (name, data) in enumerate(cases.items()):
        sent = data.replace(b"KEY", rig.key.encode())
        at = (number * 37) % (data.find(b"\r\n\r\n") + 4)
        found = await in_pieces(rig, (sent,) if number % 3 else (sent[:at], sent[at:]))
        assert [answer.status for answer in found] == [400], name
    assert rig.providers["messages"].seen == []


async def test_requests_with_two_names_are_told_apart_wherever_they_are_cut(rig: Rig) -> None:
    key = rig.key.encode()
    twice = NAMES.strip().split(b"\r\n")
    length = (post(*twice, LENGTH) + BODY).replace(b"KEY", key)
    chunked = (post(TE, *twice) + CHUNKED).replace(b"KEY", key)
    last = INNER.replace(FIRST, FIRST + NAMES + b"Connection: close\r\n")
    for at in range(1, len(length), 23):
        cut = (length[:at], length[at:]), (chunked[:at], chunked[at:])
        found = await in_pieces(rig, *cut, (last,))
        assert [answer.status for answer in found] == [200] * 3, at
    seen = [seen.body for seen in rig.providers["messages"].seen]
    assert seen == [BODY] * len(seen)
    assert seen


async def test_requests_with_two_names_that_nobody_waits_for_are_served_in_order_or_not_at_all(
    rig: Rig,
) -> None:
    twice = NAMES.strip().split(b"\r\n")
    one = (post(*twice, LENGTH) + BODY).replace(b"KEY", rig.key.encode())
    found = await answers(rig, one + one)
    assert [answer.status for answer in found] == [400]
    assert rig.providers["messages"].seen == []
    plain = (post(LENGTH) + BODY).replace(b"KEY", rig.key.encode())
    found = await answers(rig, one + plain + INNER.replace(FIRST, FIRST + b"Connection: close\r\n"))
    assert [answer.status for answer in found] == [200] * 3


@pytest.mark.parametrize(
    ("names", "status"),
    [
        pytest.param(NAME * _MAX_NAMES, 200, id="as many as are let through"),
        pytest.param(NAME * (_MAX_NAMES + 1), 400, id="one more"),
        pytest.param(NAME * 3_600, 400, id="64 kB of names"),
        pytest.param(NAME + b"User-Agent: " + b"a" * 100_000 + b"\r\n", 400, id="a long one"),
        pytest.param(
            NAME * 2 + b"".join(b"X-%d: a\r\n" % number for number in range(3_000)),
            400,
            id="too many headers besides",
        ),
    ],
)
async def test_names_lift_no_limit_of_a_head(rig: Rig, names: bytes, status: int) -> None:
    head = INNER.replace(FIRST, FIRST + b"Connection: close\r\n" + names)
    (answer,) = await answers(rig, head)
    assert answer.status == status


async def test_a_head_that_goes_on_and_on_naming_itself_is_read_again_a_few_times_only() -> None:
    loop = asyncio.get_running_loop()
    made: list[HttpRequestParser] = []

    def make() -> HttpRequestParser:
        made.append(HttpRequestParser(Protocol(), loop, 2**16))  # type: ignore[arg-type]  # a part of it
        return made[-1]

    parser = NamesTwiceParser(make)

    def go_on() -> None:
        for _ in range(1_000):
            parser.feed_data(NAME)

    parser.feed_data(INNER[:-2] + b"X-Large: " + b"a" * 7_000 + b"\r\n")
    with pytest.raises(BadHttpMessage):
        go_on()
    assert len(made) <= _MAX_NAMES + 1


async def test_each_request_may_name_itself_anew() -> None:
    loop = asyncio.get_running_loop()
    parser = NamesTwiceParser(lambda: HttpRequestParser(Protocol(), loop, 2**16))  # type: ignore[arg-type]  # a part of it
    for _ in range(3 * _MAX_NAMES):
        pieces = [INNER[:-2] + NAME, *[NAME] * 4, b"\r\n"]
        assert sum(len(parser.feed_data(piece)[0]) for piece in pieces) == 1
