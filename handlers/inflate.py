"""Inflates compressed bodies by our own hand, so that a small body cannot grow without bounds.

aiohttp would inflate as the bytes arrive, those of refused requests included: a few hundred
kilobytes from anybody, without any key, would then cost seconds.
"""

import asyncio
import zlib
from collections.abc import Iterator
from typing import Final

from models.errors import BadRequest, PayloadTooLarge

CODINGS: Final = frozenset({"gzip", "deflate"})

_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15
_STEP_BYTES: Final = 256 * 1024
# Input is fed in slices, because zlib copies what it has not consumed at each step.
_SLICE_BYTES: Final = 32 * 1024
# A gzip file may be many put together; each costs a fresh start, however small it is.
_MAX_MEMBERS: Final = 100


async def inflated(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the inflated body. Raises BadRequest, or PayloadTooLarge before memory is used."""
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _pieces(body, coding):
            size += len(piece)
            if size > max_bytes:
                raise PayloadTooLarge(f"the inflated body is larger than {max_bytes} bytes")
            pieces.append(piece)
            await asyncio.sleep(0)
    except zlib.error as error:
        raise BadRequest(f"the body is not valid {coding}") from error
    return b"".join(pieces)


def _pieces(body: bytes, coding: str) -> Iterator[bytes]:
    wbits = _GZIP if coding == "gzip" else _deflate_wbits(body)
    inflater, members = zlib.decompressobj(wbits), 1
    for start in range(0, len(body), _SLICE_BYTES):
        data = body[start : start + _SLICE_BYTES]
        while data:
            if inflater.eof:
                inflater, members = zlib.decompressobj(wbits), members + 1
            if members > (_MAX_MEMBERS if coding == "gzip" else 1):
                raise BadRequest(f"the body has too many parts of {coding}")
            yield inflater.decompress(data, _STEP_BYTES)
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    # Output may be left inside although all input is consumed.
    while piece := inflater.decompress(b"", _STEP_BYTES):
        yield piece
    if body and not inflater.eof:
        raise BadRequest(f"the body is not complete {coding}")


def _deflate_wbits(body: bytes) -> int:
    """RFC 9110 means zlib's format; many clients send deflate without its head."""
    has_head = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    return _ZLIB if has_head else _RAW
