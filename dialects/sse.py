"""Server-sent events as bytes: an incremental parser, frame boundaries for relays, a formatter.

Source: WHATWG HTML, "Server-sent events". Only LF, CR and CRLF end a line, so nothing here
may use `splitlines`, which also splits at U+0085, U+2028 and others.
"""

from typing import Final, TypeAlias

ServerEvent: TypeAlias = tuple[bytes, bytes]
"""Event name (empty when the frame has none) and data, its lines joined by LF."""

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Longest frame that is held in memory; inline images make long ones."""

_BOM: Final = b"\xef\xbb\xbf"


class Parser:
    """Cuts a stream into events, however its bytes are split.

    Memory is bounded: a frame longer than `limit_bytes` sets `overflowed`, and from then on
    nothing more comes out.
    """

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self.overflowed = False
        self._limit_bytes = limit_bytes
        self._at_start = True
        self._skip_lf = False  # the last byte was a CR: an LF right after it ends the same line
        self._pieces: list[bytes] = []  # the unfinished frame, joined only when it is complete
        self._held_bytes = 0

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the events that `data` completes."""
        frames = self.frames(data)
        return [event for frame in frames if (event := read_frame(frame)) is not None]

    def frames(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes, for `read_frame`."""
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not data or self.overflowed:
            return []
        if self._at_start:
            data = self._without_bom(data)
        return self._completed(data)

    def end(self) -> list[ServerEvent]:
        """Return the event that the stream ended in without its blank line, if any.

        It may be cut off in the middle: take it only when its data parses.
        """
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._held_bytes = 0
        event = read_frame(rest) if rest and not self.overflowed else None
        return [event] if event else []

    def _without_bom(self, data: bytes) -> bytes:
        head = b"".join(self._pieces) + data
        self._pieces.clear()
        self._held_bytes = 0
        self._at_start = len(head) < len(_BOM) and _BOM.startswith(head)
        return head if self._at_start else head.removeprefix(_BOM)

    def _completed(self, data: bytes) -> list[bytes]:
        pieces = self._pieces
        if pieces:
            seam = data.startswith(b"\n") and pieces[-1].endswith(b"\n")
            if not seam and b"\n\n" not in data:
                self._hold(data)
                return []
            pieces.append(data)
            data = b"".join(pieces)
            pieces.clear()
            self._held_bytes = 0
        frames = data.split(b"\n\n")
        if rest := frames.pop():
            self._hold(rest)
        return frames if len(data) <= self._limit_bytes else self._within_limit(frames)

    def _within_limit(self, frames: list[bytes]) -> list[bytes]:
        """Return the frames before the first that is too long."""
        for at, frame in enumerate(frames):
            if len(frame) > self._limit_bytes:
                self.overflowed = True
                return frames[:at]
        return frames

    def _hold(self, data: bytes) -> None:
        self._held_bytes += len(data)
        if self._held_bytes > self._limit_bytes:
            self.overflowed = True
            self._pieces.clear()
        else:
            self._pieces.append(data)


def read_frame(frame: bytes) -> ServerEvent | None:
    """Read one frame whose lines end with LF; None when it carries no data (comments)."""
    if frame.startswith(b"data: ") and b"\n" not in frame:
        return b"", frame[6:]
    if frame.startswith(b"event: "):
        name, _, rest = frame[7:].partition(b"\n")
        if rest.startswith(b"data: ") and b"\n" not in rest:
            return name, rest[6:]
    return _read_lines(frame.split(b"\n"))


def _read_lines(lines: list[bytes]) -> ServerEvent | None:
    name = b""
    data: list[bytes] = []
    for line in lines:
        key, _, value = line.partition(b":")
        if key == b"data":
            data.append(value.removeprefix(b" "))
        elif key == b"event":
            name = value.removeprefix(b" ")
    return (name, b"\n".join(data)) if data else None


def boundary(buffer: bytes | bytearray) -> int:
    """Return the end of the last blank line in `buffer`, 0 when there is none.

    Bytes up to there are whole frames: something else may be sent after them. Where the
    buffer ends between the CR and the LF of a blank line, the CR already counts; the LF that
    comes later is then one more blank line to a reader, which means nothing.
    """
    end = buffer.rfind(b"\n\n") + 2
    if b"\r" in buffer:
        end = max(end, buffer.rfind(b"\n\r") + 2, buffer.rfind(b"\r\r") + 2)
        if buffer[end - 1 : end + 1] == b"\r\n":
            end += 1
    return end if end > 1 else 0


def frame(data: bytes, event: bytes | None = None) -> bytes:
    """Return one frame. `data` is one line: JSON without raw line ends."""
    if event is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event, data)
