"""Reads the body of a model call: bounded, timed, strict JSON."""

import asyncio
from typing import Final

from aiohttp import web

from models.errors import BadRequest, ErrorKind, GatewayError, PayloadTooLarge

_WINDOW_S: Final = 10.0
_IDENTITY: Final = frozenset({"", "identity", "gzip", "deflate"})


async def read_body(request: web.Request, *, max_bytes: int, min_bytes_per_s: int) -> bytes:
    """Return the whole body.

    Raises PayloadTooLarge, BadRequest with status 408 for a body that comes too slowly and 415
    for an encoding we do not read. Compressed bodies count by their inflated size.
    """
    if request.headers.get("content-encoding", "").lower() not in _IDENTITY:
        raise BadRequest("content-encoding: not supported", status=415)
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise PayloadTooLarge(f"the body is larger than {max_bytes} bytes")
    pieces: list[bytes] = []
    size = 0
    try:
        while not request.content.at_eof():
            piece = request.content.read_nowait()
            if not piece:
                piece = await _window(request, min_bytes_per_s)
            size += len(piece)
            if size > max_bytes:
                raise PayloadTooLarge(f"the body is larger than {max_bytes} bytes")
            pieces.append(piece)
    except (web.RequestPayloadError, web.HTTPException) as error:
        raise BadRequest("the body could not be read") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _window(request: web.Request, min_bytes_per_s: int) -> bytes:
    """Return what arrives in one window; raises when it is less than the slowest rate."""
    needed = int(min_bytes_per_s * _WINDOW_S)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(_WINDOW_S):
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
