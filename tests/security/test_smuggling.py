"""Requests whose end two readers would see at different places are refused (I-05)."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.security.requests import PLAIN
from tests.security.shapes import failures_in
from tests.security.wire import answers

BODY = json.dumps(PLAIN["messages"]).encode()
# Answered with 200 if it were ever taken for a request.
INNER = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
TE = b"Transfer-Encoding: chunked"


def post(
    *lines: bytes, end: bytes = b"\r\n", start: bytes = b"POST /v1/messages HTTP/1.1"
) -> bytes:
    """Return a head with a place for the key."""
    return end.join([start, b"Host: x", b"Authorization: Bearer KEY", *lines, b"", b""])


def te(value: bytes) -> bytes:
    return post(b"Transfer-Encoding: " + value) + CHUNKED + INNER


def length(value: bytes) -> bytes:
    return post(b"Content-Length: " + value) + BODY + INNER


def chunks(data: bytes) -> bytes:
    return post(TE) + data + INNER


SIZE = b"%x" % len(BODY)

CASES = {
    # two framings
    "length and chunked": post(LENGTH, TE) + CHUNKED + INNER,
    "chunked and length": post(TE, LENGTH) + CHUNKED + INNER,
    "length 0 and chunked": post(b"Content-Length: 0", TE) + CHUNKED + INNER,
    "length and identity": post(LENGTH, b"Transfer-Encoding: identity") + BODY + INNER,
    "length inside chunked": post(b"Content-Length: 4", TE) + b"0\r\n\r\n" + INNER,
    # Content-Length
    "two lengths": post(LENGTH, b"Content-Length: 0") + BODY + INNER,
    "the same length twice": post(LENGTH, LENGTH) + BODY + INNER,
    "lengths in a list": length(b"%d, %d" % (len(BODY), len(BODY))),
    "plus sign": length(b"+%d" % len(BODY)),
    "minus sign": length(b"-1"),
    "minus zero": length(b"-0"),
    "hexadecimal": length(b"0x%x" % len(BODY)),
    "decimal point": length(b"%d.0" % len(BODY)),
    "exponent": length(b"1e2"),
    "underscore": length(b"1_0"),
    "inner space": length(b"1 0"),
    "empty length": length(b""),
    "words": length(b"ten"),
    "beyond 64 bits": length(b"1" * 40),
    "vertical tab": length(b"\x0b%d" % len(BODY)),
    "other digits": length("٣".encode()),
    "NUL": length(b"%d\x00" % len(BODY)),
    # Transfer-Encoding
    "unknown encoding": te(b"cow"),
    "chunked then another": te(b"chunked, cow"),
    "another then chunked": te(b"cow, chunked"),
    "chunked twice": te(b"chunked, chunked"),
    "chunked twice in two lines": post(TE, TE) + CHUNKED + INNER,
    "identity then chunked": te(b"identity, chunked"),
    "quoted": te(b'"chunked"'),
    "xchunked": te(b"xchunked"),
    "chunked with a tail": te(b"chunkedx"),
    "parameter": te(b"chunked;q=1"),
    "leading vertical tab": te(b"\x0bchunked"),
    "NUL in it": te(b"chunked\x00"),
    "empty encoding": te(b""),
    "folded": post(b"Transfer-Encoding:\r\n chunked") + CHUNKED + INNER,
    "old protocol": post(TE, start=b"POST /v1/messages HTTP/1.0") + CHUNKED + INNER,
    # names and lines
    "space before the colon": post(b"Content-Length : %d" % len(BODY)) + BODY + INNER,
    "tab before the colon": post(b"Transfer-Encoding\t: chunked") + CHUNKED + INNER,
    "space before the name": post(b" Content-Length: %d" % len(BODY)) + BODY + INNER,
    "folded line": post(LENGTH, b"X-A: b\r\n c") + BODY + INNER,
    "folded first line": post(start=b"POST /v1/messages HTTP/1.1\r\n X: y") + INNER,
    "no colon": post(LENGTH, b"Transfer-Encoding chunked") + BODY + INNER,
    "no name": post(LENGTH, b": chunked") + BODY + INNER,
    "brackets in a name": post(LENGTH, b"X[a]: b") + BODY + INNER,
    "NUL in a name": post(LENGTH, b"X\x00A: b") + BODY + INNER,
    "letters beyond ASCII in a name": post(LENGTH, "Ä: b".encode()) + BODY + INNER,
    "line feeds only": post(LENGTH, end=b"\n") + BODY + INNER,
    "one bare line feed": post(LENGTH + b"\nX-A: b") + BODY + INNER,
    "carriage returns only": post(LENGTH, end=b"\r") + BODY + INNER,
    "bare carriage return": post(LENGTH, b"X-A: b\rTransfer-Encoding: chunked") + BODY + INNER,
    "no Host": INNER.replace(b"Host: x\r\n", b"") + INNER,
    "two Hosts": post(b"Host: y", LENGTH) + BODY + INNER,
    # chunks
    "size with a sign": chunks(b"+" + CHUNKED),
    "negative size": chunks(b"-1\r\n\r\n"),
    "size with 0x": chunks(b"0x" + CHUNKED),
    "size with a space": chunks(SIZE + b" \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size with an underscore": chunks(b"0_" + CHUNKED),
    "size that is no number": chunks(b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "empty size": chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size beyond 64 bits": chunks(b"f" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size ends with a line feed": chunks(SIZE + b"\n" + BODY + b"\r\n0\r\n\r\n"),
    "size ends with a carriage return": chunks(SIZE + b"\r" + BODY + b"\r\n0\r\n\r\n"),
    "chunk without its line end": chunks(SIZE + b"\r\n" + BODY + b"0\r\n\r\n"),
    "chunk longer than it says": chunks(b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "line feed in an extension": chunks(SIZE + b";a\n\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "bare line feed after a chunk": chunks(SIZE + b"\r\n" + BODY + b"\n0\r\n\r\n"),
    # request lines
    "no version": post(LENGTH, start=b"POST /v1/messages") + BODY + INNER,
    "version 2": post(LENGTH, start=b"POST /v1/messages HTTP/2.0") + BODY + INNER,
    "version 1.10": post(LENGTH, start=b"POST /v1/messages HTTP/1.10") + BODY + INNER,
    "odd version": post(LENGTH, start=b"POST /v1/messages HTTP/1.x") + BODY + INNER,
    "other protocol": post(LENGTH, start=b"POST /v1/messages FTP/1.1") + BODY + INNER,
    "space in the path": post(LENGTH, start=b"POST /v1/mes sages HTTP/1.1") + BODY + INNER,
    "tab between": post(LENGTH, start=b"POST\t/v1/messages\tHTTP/1.1") + BODY + INNER,
    "NUL in the path": post(LENGTH, start=b"POST /v1/messages\x00 HTTP/1.1") + BODY + INNER,
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + INNER,
    "proxy protocol": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + INNER,
    "too long a line": post(LENGTH, start=b"POST /" + b"a" * 70_000 + b" HTTP/1.1") + BODY + INNER,
    "too long a header": post(LENGTH, b"X-A: " + b"a" * 70_000) + BODY + INNER,
    "too many headers": post(LENGTH, *[b"X-%d: a" % n for n in range(3000)]) + BODY + INNER,
    # bodies where none is read
    "upgrade": post(b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk") + INNER,
}


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        await opened.add_provider("messages")
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


async def test_no_second_request_is_smuggled(rig: Rig) -> None:
    assert len(CASES) > 80
    for name, data in CASES.items():
        found = await answers(rig, data.replace(b"KEY", rig.key.encode()))
        assert [answer.status for answer in found] == [400], name
        assert found[0].json["error"]["message"]
        assert found[0].headers["server"] == "aigateway"
    assert rig.providers["messages"].seen == []
    health = await rig.http.get(f"{rig.url}/health/live")
    assert health.status == 200


async def test_requests_that_follow_each_other_honestly_are_served_in_order(rig: Rig) -> None:
    key = rig.key.encode()
    honest = [
        post(LENGTH) + BODY,
        post(TE) + CHUNKED,
        post(b"transfer-encoding: Chunked") + CHUNKED,
        post(TE) + b"%x;name=value\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY),
        INNER,
        INNER.replace(b"Host: x", b"Host: x\r\nConnection: close"),
    ]
    found = await answers(rig, b"".join(honest).replace(b"KEY", key))
    assert [answer.status for answer in found] == [200] * len(honest)
    assert [seen.body for seen in rig.providers["messages"].seen] == [BODY] * 4


async def test_who_wants_another_protocol_gets_an_answer_and_a_new_connection(rig: Rig) -> None:
    """Some clients ask for HTTP/2 with their first request, whatever it is."""
    wish = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    lists = post(*wish, start=b"GET /v1/models HTTP/1.1")
    for request in (lists, post(LENGTH, *wish) + BODY, post(TE, *wish) + CHUNKED):
        (answer,) = await answers(rig, (request + INNER).replace(b"KEY", rig.key.encode()))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
