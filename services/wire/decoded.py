"""An answer that was compressed on the way, seen without it."""

import zlib
from typing import Final

from models.ports import Flow, UpstreamResponse
from services import failed_calls
from services.changed_body import ChangedBody
from services.pieces import flow_of_pieces
from services.wire.connection import Take
from services.wire.response import Response

# What a small answer unpacks to may be huge: never more than this at once.
_PIECE_BYTES: Final = 65_536
_GZIP: Final = 16 + zlib.MAX_WBITS
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


def decoded(response: Response) -> UpstreamResponse:
    """Return the answer as it is, or unpacked where it was packed."""
    coding = response.headers.get("content-encoding")
    if coding is None or coding.lower() not in _CODINGS:
        return response
    return Decoded(response, Unpacker(is_gzip="gzip" in coding.lower()))


class Unpacker:
    """Unpacks piece by piece; raises zlib.error for what is not packed."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inflate: zlib._Decompress | None = None
        self._packed = b""

    def feed(self, data: bytes) -> None:
        self._packed += data

    def next(self) -> bytes:
        """Return a piece of what was fed, b"" when it needs more."""
        while self._packed:
            if self._inflate is None:
                self._inflate = zlib.decompressobj(self._window())
            data = self._inflate.decompress(self._packed, _PIECE_BYTES)
            self._packed = self._inflate.unconsumed_tail
            if self._inflate.eof:
                # Parts may follow one another (RFC 1952 section 2.2).
                self._packed, self._inflate = self._inflate.unused_data, None
            if data:
                return data
        return b""

    @property
    def is_whole(self) -> bool:
        """Whether what was fed came to its end."""
        return self._inflate is None and not self._packed

    def _window(self) -> int:
        if self._is_gzip:
            return _GZIP
        # Some send the bare stream, without the header that RFC 1950 wants.
        has_header = self._packed[0] & 0x0F == zlib.DEFLATED
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS


class Decoded(ChangedBody[Response]):
    """An `UpstreamResponse` that unpacks what it reads."""

    def __init__(self, response: Response, unpacker: Unpacker) -> None:
        super().__init__(response)
        self._unpacker = unpacker

    async def read(self, limit_bytes: int) -> bytes:
        self._unpacker.feed(await self._response.read(limit_bytes))
        pieces: list[bytes] = []
        size = 0
        while piece := self._next():
            size += len(piece)
            if size > limit_bytes:
                raise failed_calls.too_large()
            pieces.append(piece)
        self._check_whole()
        return b"".join(pieces)

    async def read_some(self, wait_s: float) -> bytes | None:
        while not (piece := self._next()):
            data = await self._response.read_some(wait_s)
            if data is None:
                return None
            if not data:
                self._check_whole()
                return b""
            self._unpacker.feed(data)
        return piece

    async def flow(self, take: Take, wait_s: float) -> Flow:
        return await flow_of_pieces(self.read_some, self._response.drop, take, wait_s)

    def _next(self) -> bytes:
        try:
            return self._unpacker.next()
        except zlib.error as error:
            raise failed_calls.cut_stream() from error

    def _check_whole(self) -> None:
        if not self._unpacker.is_whole:
            raise failed_calls.cut_stream()
