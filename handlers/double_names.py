"""Lets requests in that name their program twice.

Some programs put two libraries on top of each other and each of them writes its `User-Agent`.
aiohttp refuses a second one together with second lengths, hosts and encodings. Those decide where a
request ends and whom it is for, so they stay refused; who names himself twice harms nobody.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import RequestHandler

Parsed: TypeAlias = tuple[Sequence[tuple[Any, Any]], bool, bytes]
"""Messages with their bodies, whether another protocol was asked for, and what follows it."""

_LINE_END: Final = b"\r\n"
_END: Final = _LINE_END * 2
_ODD: Final = re.compile(rb"[\r\n\0]|^[ \t]")
"""Half a line end inside a line, or a line that continues the one before."""
_NAME: Final = b"user-agent"
_REFUSAL: Final = "Duplicate 'User-Agent' header found."
_MAX_NAMES: Final = 8
"""In one head. What is left out counts for none of aiohttp's limits, and each piece that brings
another name has the whole head read again."""


def forgiving_parser(connection: RequestHandler) -> HttpRequestParser:
    """Return a parser for a connection, with the limits that aiohttp gave the one it made."""

    def make() -> HttpRequestParser:
        return HttpRequestParser(
            connection,
            connection._loop,
            connection._read_bufsize,
            max_line_size=connection.max_line_size,
            max_field_size=connection.max_field_size,
            max_headers=connection.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,  # see `handlers/inflate.py`
            max_msg_queue_size=connection._max_msg_queue_size,
        )

    return cast(HttpRequestParser, NamesTwiceParser(make))


class NamesTwiceParser:
    """aiohttp's parser, and a second try for a head that it refused for two `User-Agent`s.

    The second try reads the same bytes without the later names, from the first byte of the request
    on. So that place must be known for certain: at the start of a connection, and after a request
    whose last byte was the last that came. Whoever sends requests without waiting for answers
    gives it up; then all is as aiohttp has it.
    """

    def __init__(self, make: Callable[[], HttpRequestParser]) -> None:
        self._make = make
        self._parser = make()
        self._head: bytearray | None = bytearray()
        """What came of a request whose head is not complete; None when its start is not known."""
        self._tries = 0
        """How often this head was read again."""
        self._body: _Body | None = None
        """The body that is being read."""

    def feed_data(self, data: bytes) -> Parsed:
        """Take what arrived. Raises BadHttpMessage."""
        if self._body is not None and self._body.is_over():
            self._head, self._body, self._tries = bytearray(), None, 0
        if self._head is not None:
            self._head += data
        try:
            parsed: Parsed = self._parser.feed_data(data)
        except BadHttpMessage as error:
            mended = _mended(self._head) if _REFUSAL in error.message else None
            if mended is None or self._tries >= _MAX_NAMES:
                raise
            self._parser, self._head = self._make(), bytearray()
            self._tries += 1
            return self.feed_data(mended)
        self._follow(data, parsed)
        return parsed

    def _follow(self, data: bytes, parsed: Parsed) -> None:
        messages, is_upgraded, _ = parsed
        if self._head is not None and len(messages) == 1 and not is_upgraded:
            self._body = _Body(self._head, *messages[0])
            self._head = None
        elif messages or is_upgraded:
            self._head = self._body = None
        elif self._body is not None:
            self._body.add(data)

    # what else a connection asks of its parser

    def feed_eof(self) -> object:
        """The client sends no more."""
        return self._parser.feed_eof()

    def message_consumed(self) -> None:
        """A request was taken from the queue."""
        self._parser.message_consumed()

    def pause_reading(self) -> None:
        """Keep what comes of the body."""
        self._parser.pause_reading()

    def set_upgraded(self, value: bool) -> None:
        """Go on after a wish for another protocol."""
        self._parser.set_upgraded(value)


class _Body:
    """Tells when a request is over and nothing of the next one has come."""

    def __init__(self, came: bytearray, message: Any, payload: Any) -> None:  # noqa: ANN401 - aiohttp's
        self._payload = payload
        self._is_chunked = bool(message.chunked)
        declared = int(message.headers.get("content-length", 0))
        self._left = came.find(_END) + len(_END) + declared - len(came)
        self._last = bytes(came[-len(_END) :])

    def add(self, data: bytes) -> None:
        """Take what came of it."""
        self._left -= len(data)
        self._last = (self._last + data)[-len(_END) :]

    def is_over(self) -> bool:
        if not self._payload.is_eof():
            return False
        # A chunked body ends with a blank line. So does the head of a next request, but that would
        # have made a message.
        return self._last == _END if self._is_chunked else self._left == 0


def _mended(came: bytearray | None) -> bytes | None:
    """Return the bytes without later `User-Agent` lines; None where there is none to leave out.

    Nothing is touched in a head whose lines two readers could cut in different ways, nor in one
    that names more than anybody has.
    """
    if came is None:
        return None
    head, end, rest = bytes(came).partition(_END)
    lines = head.split(_LINE_END)
    last = [] if end else [lines.pop()]  # it may still grow
    if any(_ODD.search(line) for line in (*lines, *[line.removesuffix(b"\r") for line in last])):
        return None
    kept: list[bytes] = []
    names = 0
    for line in lines:
        is_name = line.partition(b":")[0].lower() == _NAME
        names += is_name
        if not is_name or names == 1:
            kept.append(line)
    if not 1 < names <= _MAX_NAMES:
        return None
    return _LINE_END.join([*kept, *last]) + end + rest
