"""Lines on disk that wait for the database: an append-only spool of segments.

`<folder>/<worker>/lock` is locked while its process lives; `<folder>/<worker>/<id>.lines` are its
segments, and their names sort by age. Whoever finds a folder whose lock is free takes the segments
of that dead process over. A line is `<CRC-32 in hex> <payload>`, so that damage to one loses no
other; a torn tail is what a power cut leaves. Everything here blocks: call it in a thread, one at
a time.
"""

import fcntl
import logging
import os
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.ids import new_id

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 4 << 20

_LOCK: Final = "lock"
_SUFFIX: Final = ".lines"
_COMPLAIN_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A closed segment and what is good in it, in the order in which it was written."""

    path: Path
    payloads: Sequence[bytes]


class Spool:
    """The spool of one process. Nothing is on disk before the first line is."""

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 8))
        self._home: Path | None = None
        self._lock: int | None = None
        self._file: int | None = None
        self._current: Path | None = None
        self._size = 0
        self._taken: Path | None = None
        self._segments: dict[Path, int] = {}
        self._complained_at = -_COMPLAIN_AFTER_S
        self.dropped = 0
        """Lines given up because the spool was full."""
        self.damaged = 0
        """Lines that could not be read back."""
        self.lines = 0
        """Lines that wait here; may be read in any thread."""

    def append(self, payloads: Sequence[bytes]) -> bool:
        """Put payloads without line breaks on the disk, for good; False when that failed.

        Where room is short, the oldest segments make room and are counted as dropped.
        """
        if not payloads:
            return True
        data = b"".join(map(_framed, payloads))
        try:
            if not self._make_room(len(data)):
                self._drop(len(payloads), "is too small")
                return True
            file = self._open_segment()
            try:
                _write(file, data)
                os.fsync(file)
            except OSError:
                self._undo(file)
                raise
            self._size += len(data)
            self._add(self._current, len(payloads))
        except OSError as error:
            self._complain("cannot be written", error=error.strerror or str(error))
            return False
        return True

    def oldest(self) -> Segment | None:
        """Close the oldest segment and return what it holds; None when there is none."""
        for path in tuple(self._segments):
            self._close_if_current(path)
            try:
                payloads, damaged = read_lines(path.read_bytes())
            except OSError as error:
                # Left where it is for the next start; the others must not wait for it.
                self._complain("cannot be read", error=error.strerror or str(error))
                self._forget(path)
                continue
            if damaged:
                self.damaged += damaged
                self._complain("holds damaged lines", damaged=damaged)
            self._taken = path
            return Segment(path, payloads)
        return None

    def remove(self, segment: Segment) -> None:
        """Forget a segment: what it holds is safe elsewhere."""
        self._taken = None
        self._forget(segment.path)
        with suppress(OSError):
            segment.path.unlink()

    def adopt(self) -> int:
        """Take over what dead processes left; return how many lines. Raises nothing."""
        before = self.lines
        for home in sorted(self._folder.glob("*/")):
            try:
                if home != self._home:
                    self._adopt(home)
            except OSError as error:
                self._complain("cannot be adopted", error=error.strerror or str(error))
        self._segments = dict(sorted(self._segments.items()))
        return self.lines - before

    def close(self) -> None:
        """Let go of the lock; lines that still wait are there for the next start."""
        self._close_segment()
        if self._home is not None and self._lock is not None:
            with suppress(OSError):
                if not any(self._home.glob(f"*{_SUFFIX}")):
                    (self._home / _LOCK).unlink()
                    self._home.rmdir()
            os.close(self._lock)
        self._home = self._lock = None

    # --- segments -------------------------------------------------------------------------

    def _open_segment(self) -> int:
        """Return the file to append to, a new one when the last is full."""
        if self._file is not None and self._size >= self._segment_bytes:
            self._close_segment()
        if self._file is None:
            path = self._own_home() / f"{new_id()}{_SUFFIX}"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._current, self._size = path, 0
            self._add(path, 0)
            _sync_folder(path.parent)
        return self._file

    def _close_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = self._current = None

    def _close_if_current(self, path: Path) -> None:
        if path == self._current:
            self._close_segment()

    def _add(self, path: Path | None, lines: int) -> None:
        if path is not None:
            self._segments[path] = self._segments.get(path, 0) + lines
            self.lines += lines

    def _forget(self, path: Path) -> int:
        lines = self._segments.pop(path, 0)
        self.lines -= lines
        return lines

    def _undo(self, file: int) -> None:
        """Take back what was written of a batch; what cannot be taken back ends its segment."""
        try:
            os.ftruncate(file, self._size)
        except OSError:
            self._close_segment()

    def _make_room(self, size_bytes: int) -> bool:
        """Drop the oldest segments until so much fits; False when it cannot."""
        while size_bytes + self._used_bytes() > self._max_bytes:
            # The one that is on its way to the database takes no part.
            path = next((path for path in self._segments if path != self._taken), None)
            if path is None:
                return False
            self._close_if_current(path)
            path.unlink(missing_ok=True)
            self._drop(self._forget(path), "is full")
        return True

    def _used_bytes(self) -> int:
        """Bytes in the segments of all processes."""
        used = 0
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            with suppress(OSError):  # its owner has just removed it
                used += path.stat().st_size
        return used

    # --- locks ----------------------------------------------------------------------------

    def _own_home(self) -> Path:
        """Return this process's folder, made and locked at the first use."""
        while self._home is None:
            home = self._folder / new_id()
            home.mkdir(mode=0o700, parents=True)
            try:
                self._lock = _locked(home)
            except OSError:
                home.rmdir()
                raise
            # Another process may have found it before it was locked, and taken it for a dead one's.
            if self._lock is not None:
                self._home = home
        return self._home

    def _adopt(self, home: Path) -> None:
        """Move the segments of a dead process into our folder, then remove its own."""
        lock = _locked(home)
        if lock is None:
            return
        try:
            for path in sorted(home.glob(f"*{_SUFFIX}")):
                lines = path.read_bytes().count(b"\n")
                target = self._own_home() / path.name
                path.rename(target)
                self._add(target, lines)
            (home / _LOCK).unlink()
            home.rmdir()
        finally:
            os.close(lock)

    # --- telling --------------------------------------------------------------------------

    def _drop(self, lines: int, reason: str) -> None:
        self.dropped += lines
        self._complain(f"{reason}: the oldest records are lost", dropped=self.dropped)

    def _complain(self, what: str, **fields: object) -> None:
        """Log, at most once a minute."""
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAIN_AFTER_S:
            self._complained_at = now
            logger.error("statistics spool %s", what, extra=fields)


def read_lines(data: bytes) -> tuple[list[bytes], int]:
    """Return the payloads whose checksum is right, in order, and how many lines were damaged."""
    payloads = []
    damaged = 0
    lines = data.split(b"\n")
    for line in lines[:-1]:
        payload = _payload(line)
        if payload is None:
            damaged += 1
        else:
            payloads.append(payload)
    # What follows the last line break is a line whose writing was cut short.
    return payloads, damaged + bool(lines[-1])


def _framed(payload: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _payload(line: bytes) -> bytes | None:
    checksum, space, payload = line[:8], line[8:9], line[9:]
    if space == b" " and checksum == b"%08x" % zlib.crc32(payload):
        return payload
    return None


def _write(file: int, data: bytes) -> None:
    """Write all of it: a full disk may take a part before it refuses."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _locked(home: Path) -> int | None:
    """Lock a worker's folder; None when its process lives, or it is gone."""
    path = home / _LOCK
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Removed by another that adopted it before us?
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    except OSError:
        pass
    os.close(file)
    return None


def _sync_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
