"""Ways in which a provider of the Messages format breaks, byte by byte."""

import asyncio
import contextlib
import gzip
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from tests.fakes.faults import Behaviour, Exchange
from tests.fakes.formats.messages import messages_json, messages_stream
from tests.fakes.provider import error_body
from tests.fakes.scenarios import Scenario, compact

JSON: Final = {"content-type": "application/json"}
EVENTS: Final = {"content-type": "text/event-stream"}
PAGE: Final = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"

GOOD: Final = compact(messages_json(Scenario())).encode()
GOOD_EVENTS: Final = tuple(messages_stream(Scenario()))
BOMB_BYTES: Final = 70_000_000
BEGUN: Final = 4
"""So many events, and the answer has content."""


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def respond(
    exchange: Exchange, body: bytes, *, status: int = 200, headers: Mapping[str, str] = JSON
) -> None:
    """Answer in good order, and close."""
    length = {"content-length": str(len(body)), "connection": "close"}
    await exchange.send(head(status, {**headers, **length}) + body)


async def begin_stream(
    exchange: Exchange, events: Sequence[bytes], *, headers: Mapping[str, str] = EVENTS
) -> None:
    """Send a head and some events of an answer in chunks."""
    chunked = {"transfer-encoding": "chunked", "connection": "close"}
    await exchange.send(head(200, {**headers, **chunked}))
    for event in events:
        await exchange.send(chunk(event))


async def reset_before_head(exchange: Exchange) -> None:
    exchange.reset()


async def reset_after_head(exchange: Exchange) -> None:
    headers = EVENTS if exchange.asks_stream else JSON
    await exchange.send(head(200, {**headers, "content-length": "1000"}))
    exchange.reset()


async def hang_before_head(exchange: Exchange) -> None:
    await exchange.hang()


async def hang_after_head(exchange: Exchange) -> None:
    headers = EVENTS if exchange.asks_stream else JSON
    await exchange.send(head(200, {**headers, "content-length": "1000"}))
    await exchange.hang()


async def hang_in_the_middle(exchange: Exchange) -> None:
    if exchange.asks_stream:
        await begin_stream(exchange, GOOD_EVENTS[:BEGUN])
    else:
        await exchange.send(head(200, {**JSON, "content-length": str(len(GOOD))}) + GOOD[:40])
    await exchange.hang()


async def reset_in_the_middle(exchange: Exchange) -> None:
    if exchange.asks_stream:
        await begin_stream(exchange, GOOD_EVENTS[:BEGUN])
    else:
        await exchange.send(head(200, {**JSON, "content-length": str(len(GOOD))}) + GOOD[:40])
    exchange.reset()


async def truncated_chunks(exchange: Exchange) -> None:
    """The connection closes in good order before the last chunk."""
    if exchange.asks_stream:
        await begin_stream(exchange, GOOD_EVENTS[:BEGUN])
    else:
        await exchange.send(head(200, {**JSON, "transfer-encoding": "chunked"}) + chunk(GOOD[:40]))


async def whole_without_its_end(exchange: Exchange) -> None:
    """HTTP ends in good order, the answer does not."""
    if exchange.asks_stream:
        await begin_stream(exchange, GOOD_EVENTS[:BEGUN])
        await exchange.send(b"0\r\n\r\n")
    else:
        await respond(exchange, GOOD[:40])


async def length_too_long(exchange: Exchange) -> None:
    if exchange.asks_stream:
        body = b"".join(GOOD_EVENTS[:BEGUN])
        await exchange.send(head(200, {**EVENTS, "content-length": str(len(body) + 99)}) + body)
    else:
        await exchange.send(head(200, {**JSON, "content-length": str(len(GOOD) + 99)}) + GOOD)


async def length_too_short(exchange: Exchange) -> None:
    if exchange.asks_stream:
        body = b"".join(GOOD_EVENTS)
        length = len(b"".join(GOOD_EVENTS[:BEGUN])) + 5
        await exchange.send(head(200, {**EVENTS, "content-length": str(length)}) + body)
    else:
        await exchange.send(head(200, {**JSON, "content-length": "40"}) + GOOD)


async def bad_chunk_size(exchange: Exchange) -> None:
    headers = EVENTS if exchange.asks_stream else JSON
    await exchange.send(head(200, {**headers, "transfer-encoding": "chunked"}) + b"zz\r\nabc\r\n")


async def head_without_end(exchange: Exchange) -> None:
    """A head that goes on and on."""
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(ConnectionError):
        while not exchange.writer.is_closing():
            await exchange.send(b"x-more: " + b"a" * 99 + b"\r\n")
            await asyncio.sleep(0.05)


async def huge_header(exchange: Exchange) -> None:
    await exchange.send(head(200, {**JSON, "x-huge": "a" * 100_000, "content-length": "0"}))


async def redirect(exchange: Exchange) -> None:
    """Wants us elsewhere, which nobody allowed."""
    elsewhere = {**JSON, "location": "http://127.0.0.1:1/elsewhere"}
    await respond(exchange, b"", status=307, headers=elsewhere)


async def no_content(exchange: Exchange) -> None:
    await exchange.send(head(204, {"connection": "close"}))


async def not_http(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n")


def page_with(status: int) -> Behaviour:
    """A page of somebody before the API, with a status."""

    async def behave(exchange: Exchange) -> None:
        await respond(exchange, PAGE, status=status, headers={"content-type": "text/html"})

    return behave


async def page(exchange: Exchange) -> None:
    await respond(exchange, PAGE, headers={"content-type": "text/html"})


async def page_as_json(exchange: Exchange) -> None:
    await respond(exchange, PAGE, headers=EVENTS if exchange.asks_stream else JSON)


async def nothing(exchange: Exchange) -> None:
    await respond(exchange, b"", headers=EVENTS if exchange.asks_stream else JSON)


async def error_with_200(exchange: Exchange) -> None:
    await respond(exchange, error_body("messages", 529))


async def error_event_first(exchange: Exchange) -> None:
    if not exchange.asks_stream:
        await respond(exchange, error_body("messages", 529))
        return
    event = b"event: error\ndata: " + error_body("messages", 529) + b"\n\n"
    await begin_stream(exchange, [event])
    await exchange.send(b"0\r\n\r\n")


async def zip_bomb(exchange: Exchange) -> None:
    """Some 70 kB that become 70 MB."""
    headers = EVENTS if exchange.asks_stream else JSON
    body = _bomb(b'data: "' if exchange.asks_stream else b'{"a":"')
    await respond(exchange, body, headers={**headers, "content-encoding": "gzip"})


async def error_without_end(exchange: Exchange) -> None:
    """An error whose body never comes."""
    await exchange.send(head(500, {**JSON, "content-length": "1000"}) + b'{"type":')
    await exchange.hang()


async def error_bomb(exchange: Exchange) -> None:
    """An error whose body is some 70 kB that become 70 MB."""
    headers = {**JSON, "content-encoding": "gzip"}
    await respond(exchange, _bomb(b'{"a":"'), status=500, headers=headers)


@cache
def _bomb(beginning: bytes) -> bytes:
    return gzip.compress(beginning + b"a" * BOMB_BYTES, 6)


def load_bombs() -> None:
    """Making them takes a while, which no time limit of a test shall see."""
    for beginning in (b'data: "', b'{"a":"'):
        _bomb(beginning)


async def broken_zip(exchange: Exchange) -> None:
    headers = EVENTS if exchange.asks_stream else JSON
    await respond(exchange, b"\x1f\x8bnothing", headers={**headers, "content-encoding": "gzip"})


def big_line(size_bytes: int) -> Behaviour:
    """One event of so many bytes in the middle of a good answer."""

    async def behave(exchange: Exchange) -> None:
        scenario = Scenario(text=("Hel", "x" * size_bytes))
        if exchange.asks_stream:
            await begin_stream(exchange, list(messages_stream(scenario)))
            await exchange.send(b"0\r\n\r\n")
        else:
            await respond(exchange, compact(messages_json(scenario)).encode())

    return behave


async def drip(exchange: Exchange) -> None:
    """A good answer, byte by byte."""
    body = b"".join(GOOD_EVENTS) if exchange.asks_stream else GOOD
    headers = {**(EVENTS if exchange.asks_stream else JSON), "connection": "close"}
    await exchange.send(head(200, {**headers, "content-length": str(len(body))}))
    for place in range(len(body)):
        await exchange.send(body[place : place + 1])
        await asyncio.sleep(0)


async def invalid_utf8(exchange: Exchange) -> None:
    """A text of which some bytes are no UTF-8."""
    await _respell(exchange, b"Hel\xff\xfe")


async def split_utf8(exchange: Exchange) -> None:
    """A good text, cut in the middle of each of its letters."""
    await _respell(exchange, "H\u00e9\u2192\U0001f600".encode())


async def _respell(exchange: Exchange, text: bytes) -> None:
    """Answer well but for a word; each byte of it comes alone."""
    if not exchange.asks_stream:
        pieces = [GOOD.replace(b"Hello ", text)]
    else:
        pieces = [event.replace(b"Hel", text) for event in GOOD_EVENTS]
    await begin_stream(exchange, [], headers=EVENTS if exchange.asks_stream else JSON)
    for piece in pieces:
        before, found, after = piece.partition(text)
        for part in (before, *(bytes([byte]) for byte in found), after):
            if part:
                await exchange.send(chunk(part))
                await asyncio.sleep(0)
    await exchange.send(b"0\r\n\r\n")


async def well(exchange: Exchange) -> None:
    """A good answer."""
    if exchange.asks_stream:
        await begin_stream(exchange, GOOD_EVENTS)
        await exchange.send(b"0\r\n\r\n")
    else:
        await respond(exchange, GOOD)


def ill_for(key: str, behaviour: Behaviour) -> Behaviour:
    """Break for one account only."""

    async def behave(exchange: Exchange) -> None:
        is_ill = b"x-api-key: " + key.encode() in exchange.head.lower()
        await (behaviour if is_ill else well)(exchange)

    return behave


def status(code: int, headers: Mapping[str, str] = {}) -> Behaviour:
    """The provider's own error."""

    async def behave(exchange: Exchange) -> None:
        body = error_body("messages", code)
        await respond(exchange, body, status=code, headers={**JSON, **headers})

    return behave
