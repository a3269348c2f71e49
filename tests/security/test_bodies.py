"""Bodies that are no good request: refused in the caller's own form, never sent on (I-02, I-03)."""

import itertools
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.provider import Kind
from tests.security.requests import PATHS, PLAIN, RICH, named, places, replaced, value_at
from tests.security.shapes import error_of, failures_in
from tests.security.wire import Answer, answers, connected, head

ROUTES = [
    pytest.param("messages", "claude-fake", id="messages raw"),
    pytest.param("messages", "gpt-fake", id="messages to chat"),
    pytest.param("messages", "glm-fake", id="messages to glm"),
    pytest.param("chat", "gpt-fake", id="chat raw"),
    pytest.param("chat", "claude-fake", id="chat to messages"),
    pytest.param("chat", "glm-fake", id="chat to glm"),
]
TRANSLATED = [ROUTES[1], ROUTES[2], ROUTES[4]]
KINDS: tuple[Kind, ...] = ("messages", "chat", "glm")


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        for kind in KINDS:
            provider = await opened.add_provider(kind)
            provider.refuses = False  # what is wrong here is for the gateway to see
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def forwarded(rig: Rig) -> int:
    return sum(len(provider.seen) for provider in rig.providers.values())


async def not_refused(rig: Rig, path: str, bodies: dict[str, bytes]) -> list[str]:
    """Send each body; return what was not refused as it should be."""
    faults = []
    for name, body in bodies.items():
        response = await rig.post(path, body)
        told = await response.read()
        if response.status != 400:
            faults.append(f"{name}: {response.status} {told[:200]!r}")
        else:
            error_of(path, told)
    return faults


def garbled(plain: dict[str, Any]) -> dict[str, bytes]:
    """Bodies that are no JSON object, each for its own reason."""
    body = json.dumps(plain).encode()
    deep = 200_000
    content = b'"Hello"'
    assert content in body

    def saying(text: bytes) -> bytes:
        return body.replace(content, text)

    return {
        "empty": b"",
        "blanks": b" \r\n\t ",
        "null": b"null",
        "true": b"true",
        "number": b"7",
        "string": b'"text"',
        "array": b"[" + body + b"]",
        "two objects": body + body,
        "trailing comma": body[:-1] + b",}",
        "trailing bytes": body + b"x",
        "trailing NUL": body + b"\x00",
        "single quotes": body.replace(b'"', b"'"),
        "comment": body + b"// no",
        "bare key": body.replace(b'"model"', b"model"),
        "form": b"model=claude-fake&stream=true",
        "deep arrays": saying(b"[" * deep + b"]" * deep),
        "deep objects": saying(b'{"a":' * deep + b"1" + b"}" * deep),
        "deep and open": b"[" * deep,
        "deep in an unread field": body[:-1] + b',"x":' + b"[" * deep + b"]" * deep + b"}",
        "long integer": body[:-1] + b',"x":' + b"9" * 5000 + b"}",
        "long integer among the limits": body[:-1] + b',"max_tokens":' + b"9" * 5000 + b"}",
        "NaN": body[:-1] + b',"x":NaN}',
        "Infinity": body[:-1] + b',"x":-Infinity}',
        "number beyond floats": body[:-1] + b',"x":1e999}',
        "leading zero": body[:-1] + b',"x":01}',
        "plus sign": body[:-1] + b',"x":+1}',
        "hexadecimal": body[:-1] + b',"x":0x10}',
        "byte order mark": b"\xef\xbb\xbf" + body,
        "UTF-16": body.decode().encode("utf-16"),
        "UTF-32": body.decode().encode("utf-32-le"),
        "bad UTF-8": saying(b'"\xff\xfe"'),
        "overlong UTF-8": saying(b'"\xc0\xaf"'),
        "cut UTF-8": saying(b'"\xe2\x82"'),
        "surrogate in UTF-8": saying(b'"\xed\xa0\x80"'),
        "lone high surrogate": saying(rb'"\ud800"'),
        "lone low surrogate": saying(rb'"\udc00"'),
        "swapped surrogates": saying(rb'"\udc00\ud800"'),
        "lone surrogate in a key": body[:-1] + rb',"\ud800":1}',
        "raw newline in a string": saying(b'"a\nb"'),
        "raw NUL in a string": saying(b'"a\x00b"'),
        "bad escape": saying(rb'"\x41"'),
        "short escape": saying(rb'"\u12"'),
        **{f"cut at {at}": body[:at] for at in range(1, len(body), 7)},
    }


@pytest.mark.parametrize(("dialect", "model"), ROUTES)
async def test_what_is_no_json_object_is_refused(rig: Rig, dialect: str, model: str) -> None:
    bodies = garbled({**PLAIN[dialect], "model": model})
    assert await not_refused(rig, PATHS[dialect], bodies) == []
    assert forwarded(rig) == 0


def doubled(dialect: str, model: str) -> dict[str, bytes]:
    """Requests that say something twice, in every spelling of the name."""
    plain = {**PLAIN[dialect], "model": model, "stream": False, "max_tokens": 9}
    body = json.dumps(plain).encode()
    values: dict[str, object] = {
        "model": "other-model",
        "stream": True,
        "max_tokens": 1_000_000,
        "messages": [{"role": "user", "content": "Something else"}],
    }
    if dialect == "chat":
        values["max_completion_tokens"] = 8
        body = body[:-1] + b',"max_completion_tokens":7}'
    found = {}
    for key, value in values.items():
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
        partly = f"\\u{ord(key[0]):04X}{key[1:]}"
        for spelling in (key, escaped, partly):
            member = f'"{spelling}" : {json.dumps(value)}'.encode()
            found[f"{spelling} last"] = body[:-1] + b"," + member + b"}"
            found[f"{spelling} first"] = b"{" + member + b"," + body[1:]
        same = json.dumps({key: plain.get(key, 7)}).encode()[1:-1]
        found[f"{key} the same again"] = body[:-1] + b"," + same + b"}"
        both = f'"{escaped}":1,"{partly}":2'.encode()
        alone = json.dumps({name: plain[name] for name in plain if name != key}).encode()
        found[f"{key} twice in disguise"] = alone[:-1] + b"," + both + b"}"
    return found


@pytest.mark.parametrize(("dialect", "model"), ROUTES)
async def test_what_is_routed_and_billed_may_be_said_once_only(
    rig: Rig, dialect: str, model: str
) -> None:
    assert await not_refused(rig, PATHS[dialect], doubled(dialect, model)) == []
    assert forwarded(rig) == 0


async def test_the_same_name_deeper_inside_is_no_second_one(rig: Rig) -> None:
    inner = {"model": "x", "stream": True, "messages": 1, "max_tokens": "\\u006dodel"}
    for dialect, plain in PLAIN.items():
        response = await rig.post(PATHS[dialect], {"x": inner, **plain})
        assert response.status == 200


WRONG_VALUES: dict[str, tuple[object, ...]] = {
    "model": (None, 7, True, [], {}, "", ["claude-fake"]),
    "stream": ("true", "yes", 1, 0, [], {}),
    "max_tokens": ("9", 1.5, True, [], {}),
    "messages": (None, "Hello", 7, True, {}, {"role": "user", "content": "x"}),
}


@pytest.mark.parametrize(("dialect", "model"), ROUTES)
async def test_what_every_path_reads_must_have_its_type(rig: Rig, dialect: str, model: str) -> None:
    plain = {**PLAIN[dialect], "model": model}
    bodies = {
        f"{key}={value!r}": json.dumps({**plain, key: value}).encode()
        for key, values in WRONG_VALUES.items()
        for value in values
    }
    for key in ("model", "messages"):
        without = {name: value for name, value in plain.items() if name != key}
        bodies[f"without {key}"] = json.dumps(without).encode()
    assert await not_refused(rig, PATHS[dialect], bodies) == []
    assert forwarded(rig) == 0


# What the gateway passes on without reading it: JSON of the caller's own choice, or of no meaning
# to the other format.
FREE = (
    "system.cache_control.",
    "messages.content.source.media_type",
    "messages.content.input.",
    "messages.name",
    "messages.tool_calls.type",
    "messages.tool_calls.function.arguments",
    "tools.input_schema.",
    "tools.function.parameters.",
    "output_config.format.schema.",
    "response_format.json_schema.schema.",
    "logit_bias.",
    "metadata.",
    "user",
)
ODD: tuple[object, ...] = (None, True, -1, 1.5, "", "\u0000x", [], {}, [7], [[]], {"type": "x"})


@pytest.mark.parametrize(("dialect", "model"), TRANSLATED)
async def test_what_a_translation_reads_must_have_its_type(
    rig: Rig, dialect: str, model: str
) -> None:
    rich = {**RICH[dialect], "model": model}
    assert (await rig.post(PATHS[dialect], rich)).status == 200
    seen = forwarded(rig)
    bodies = {}
    for at in places(rich):
        if not named(at).startswith(FREE):
            wrong = 7 if isinstance(value_at(rich, at), dict | list) else {"wrong": [1]}
            bodies[str(at)] = json.dumps(replaced(rich, at, wrong)).encode()
    assert len(bodies) > 60
    assert await not_refused(rig, PATHS[dialect], bodies) == []
    assert forwarded(rig) == seen


@pytest.mark.parametrize(("dialect", "model"), TRANSLATED)
async def test_no_value_at_any_place_is_a_failure_of_ours(
    rig: Rig, dialect: str, model: str
) -> None:
    rich = {**RICH[dialect], "model": model}
    statuses: dict[int, int] = {}
    for at, odd in itertools.product(places(rich), ODD):
        response = await rig.post(PATHS[dialect], replaced(rich, at, odd))
        statuses[response.status] = statuses.get(response.status, 0) + 1
        if response.status != 200:
            error_of(PATHS[dialect], await response.read())
        assert response.status < 500, (at, odd, await response.text())
    # 404: another model is asked for; 413, 415 and the like have nothing to do with values.
    assert set(statuses) <= {200, 400, 404}
    assert statuses[400] > 100


@pytest.mark.parametrize("path", [*PATHS.values(), "/api/v1/accounts"])
async def test_a_body_beyond_the_limit_is_413_before_it_is_read(rig: Rig, path: str) -> None:
    limit = 1 << 20 if path.startswith("/api") else 32 << 20
    start, kind = f"POST {path} HTTP/1.1", "Content-Type: application/json"
    declared = head(start, rig, kind, f"Content-Length: {limit + 1}", key=rig.admin_key)
    chunked = head(start, rig, kind, "Transfer-Encoding: chunked", key=rig.admin_key)
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with connected(rig) as wire:
        await wire.send(declared)
        at_once = await wire.answer()
    async with connected(rig) as wire:
        await wire.send(chunked)
        for _ in range(limit // 0x10000):
            await wire.send(piece)
        await wire.send(b"1\r\n \r\n")
        while_reading = await wire.answer()
    for answer in (at_once, while_reading):
        assert answer is not None
        assert answer.status == 413
        assert "larger than" in error_of(path, answer.body)["message"]
    assert forwarded(rig) == 0


OTHER_TYPES = (
    "text/plain",
    "text/json",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json; charset=latin-1",
    "application/xml",
    "application/jsonx",
    "*/*",
    "garbage",
    ";;;",
    "",
    "application/json, text/plain",
)
# The last one is what curl says of anything.
JSON_TYPES = (
    "application/json",
    "application/json; charset=UTF-8",
    'Application/JSON;charset="utf-8"',
    "application/x-www-form-urlencoded",
)


async def typed(rig: Rig, dialect: str, content_type: str) -> Answer:
    body = json.dumps(PLAIN[dialect]).encode()
    lines = (f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close")
    (answer,) = await answers(rig, head(f"POST {PATHS[dialect]} HTTP/1.1", rig, *lines) + body)
    return answer


@pytest.mark.parametrize("dialect", PATHS)
async def test_what_is_not_said_to_be_json_is_415(rig: Rig, dialect: str) -> None:
    for content_type in OTHER_TYPES:
        answer = await typed(rig, dialect, content_type)
        assert answer.status == 415, content_type
        error_of(PATHS[dialect], answer.body)
    assert forwarded(rig) == 0
    for content_type in JSON_TYPES:
        assert (await typed(rig, dialect, content_type)).status == 200, content_type
