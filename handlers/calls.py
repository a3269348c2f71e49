"""Reads the body of a request: bounded, timed, inflated where it came compressed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import Final

from aiohttp import web

from handlers.inflate import CODINGS, inflated
from models.errors import BadRequest, ErrorKind, GatewayError, PayloadTooLarge

_IDENTITY: Final = frozenset({"", "identity"})
_UTF_8: Final = frozenset({"utf-8", "utf8"})


JSON: Final = frozenset({"application/json"})
JSON_OR_CURL: Final = JSON | {"application/x-www-form-urlencoded"}
"""What `curl -d` says of everything that it is not told the type of; examples live of it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come: while we wait, every window brings its share."""

    window_s: float = 10.0
    min_bytes_per_s: int = 500
    """0: each window must bring something at all."""

    @property
    def share_bytes(self) -> int:
        """Bytes that one window must bring."""
        return max(1, int(self.window_s * self.min_bytes_per_s))


PACE: Final = web.AppKey("pace", Pace)


def check_type(content_type: str | None, types: frozenset[str] = JSON) -> None:
    """Raise BadRequest with status 415 for anything but JSON. Without a type it is taken for it."""
    if content_type is None:
        return
    kind, charset = _read_type(content_type)
    if kind not in types:
        raise BadRequest("the body must be application/json", status=415)
    if charset not in _UTF_8:
        raise BadRequest("the body must be UTF-8", status=415)


@lru_cache(maxsize=256)
def _read_type(content_type: str) -> tuple[str, str]:
    """Return the type and the character set that a header names."""
    message = Message()
    message["content-type"] = content_type
    charset = message.get_param("charset", "utf-8")
    return message.get_content_type(), str(charset).lower()


async def read_body(request: web.Request, *, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises PayloadTooLarge, BadRequest with status 415 for an encoding we do not read, and a
    GatewayError with status 408 for a body that comes too slowly. The limit holds for what came
    and for what it inflates to.
    """
    coding = _coding(request)
    body = await _whole(request, max_bytes)
    return body if coding in _IDENTITY else await inflated(body, coding, max_bytes)


def _coding(request: web.Request) -> str:
    if "content-encoding" not in request.headers:
        return ""
    coding = ", ".join(request.headers.getall("content-encoding")).strip().lower()
    if coding not in _IDENTITY and coding not in CODINGS:
        raise BadRequest("content-encoding: not supported", status=415)
    return coding


async def _whole(request: web.Request, max_bytes: int) -> bytes:
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    try:
        if declared is not None and request.content.is_eof():
            return request.content.read_nowait()  # it came with the head, as most do
        async for piece in _pieces(request):
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            pieces.append(piece)
    except (web.RequestPayloadError, web.HTTPException) as error:
        raise BadRequest("the body could not be read") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    pace = request.app[PACE]
    while not request.content.at_eof():
        if piece := request.content.read_nowait():
            yield piece
        else:
            yield await _window(request, pace)


async def _window(request: web.Request, pace: Pace) -> bytes:
    """Return what arrives until a window has its share; raises when it does not get it."""
    needed = pace.share_bytes
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(pace.window_s):
            while needed > 0:
                piece = await request.content.readany()
                if not piece:
                    break
                needed -= len(piece)
                pieces.append(piece)
    except TimeoutError as error:
        raise GatewayError(
            "the body came too slowly", kind=ErrorKind.TIMEOUT, status=408
        ) from error
    return b"".join(pieces)


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {max_bytes} bytes")
