"""A journal of refreshed tokens: on disk before the database has them, so that none is lost.

A provider that rotates refresh tokens has made the old one worthless when its answer arrives.
Each process appends to a file of its own, locked while it lives, and finds the files of
dead ones by their missing lock. Records are sealed and framed: length, CRC-32, then
`[operation, account id, token version, sealed]` as JSON. A torn tail is what a power cut leaves:
it was never acknowledged and is passed over.
"""

import asyncio
import fcntl
import logging
import os
import struct
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import orjson

from auth.vault import Vault
from models.errors import GatewayError
from models.ids import new_id
from services.sealed import TokenRecord, open_record, seal_record

logger = logging.getLogger(__name__)

T = TypeVar("T")
_Key: TypeAlias = tuple[str, int]

_PLACE: Final = "journal"
_HEADER: Final = struct.Struct("<II")
_MAX_RECORD_BYTES: Final = 1 << 20
_PUT: Final = "put"
_SETTLED: Final = "settled"


class Journal:
    """Tokens of this process, and of dead ones it took over, that the database lacks yet."""

    def __init__(self, directory: Path, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._pending: dict[_Key, TokenRecord] = {}
        self._path: Path
        self._file: int

    async def open(self) -> None:
        """Make this process's file and take over those of dead processes. Raises OSError."""
        self._path, self._file = await self._run(lambda: _create(self._directory))
        await self.adopt()

    async def append(self, record: TokenRecord) -> None:
        """Return when the record is on the disk. Raises OSError; then it is not."""
        sealed = seal_record(self._vault, _PLACE, record)
        frame = _frame(_PUT, (record.account_id, record.token_version), sealed)
        await self._run(lambda: _write(self._file, frame, is_synced=True))
        self._pending[record.account_id, record.token_version] = record

    def pending(self) -> list[TokenRecord]:
        """Return what the database lacks, oldest version of an account first."""
        return sorted(self._pending.values(), key=lambda record: record.token_version)

    async def settle(self, account_id: str, token_version: int) -> None:
        """Note that the database has these tokens, or will never need them."""
        key = (account_id, token_version)
        if self._pending.pop(key, None) is None:
            return
        # Lost in a power cut, this only means that the record is offered to the database again.
        frame = b"" if not self._pending else _frame(_SETTLED, key, None)
        await self._run(lambda: _write(self._file, frame, is_synced=False))

    async def adopt(self) -> list[TokenRecord]:
        """Take over what dead processes left; return it, it is pending now. Raises OSError."""
        found = await self._run(self._adopt)
        self._pending.update(
            {(record.account_id, record.token_version): record for record in found}
        )
        return found

    async def find(self, account_id: str, newer_than: int) -> TokenRecord | None:
        """Return the newest tokens of an account in any journal of this machine, if newer."""
        own = [record for record in self._pending.values() if record.account_id == account_id]
        others = await self._run(lambda: self._find(account_id))
        newer = [record for record in (*own, *others) if record.token_version > newer_than]
        return max(newer, key=lambda record: record.token_version, default=None)

    async def aclose(self) -> None:
        """Leave what is pending to the next process. Idempotent."""
        if self._file >= 0:
            await self._run(self._release)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        """Run file work in the journal's own thread, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread ---

    def _adopt(self) -> list[TokenRecord]:
        adopted: list[TokenRecord] = []
        for path in self._others():
            with suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    if _lock(descriptor, path):
                        adopted.extend(self._take_over(path))
                finally:
                    os.close(descriptor)
        return adopted

    def _take_over(self, path: Path) -> list[TokenRecord]:
        """Copy what is unsettled into our own file, then remove the other."""
        try:
            unsettled = _unsettled(path)
            records = [self._opened(key, sealed) for key, sealed in unsettled.items()]
            for key, sealed in unsettled.items():
                _write(self._file, _frame(_PUT, key, sealed), is_synced=True)
        except (GatewayError, OSError) as error:
            # A master key that is not at hand, or a full disk: the file stays for later.
            logger.error("journal left alone", extra={"file": path.name, "error": str(error)})
            return []
        path.unlink()
        if records:
            logger.info("journal taken over", extra={"file": path.name, "records": len(records)})
        return records

    def _find(self, account_id: str) -> list[TokenRecord]:
        found: list[TokenRecord] = []
        for path in self._others():
            with suppress(OSError, GatewayError):
                found.extend(
                    self._opened(key, sealed)
                    for key, sealed in _unsettled(path).items()
                    if key[0] == account_id
                )
        return found

    def _opened(self, key: _Key, sealed: str) -> TokenRecord:
        return open_record(self._vault, _PLACE, key[0], sealed)

    def _others(self) -> list[Path]:
        return [path for path in sorted(self._directory.glob("*.log")) if path != self._path]

    def _release(self) -> None:
        if not self._pending:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1


@asynccontextmanager
async def open_journal(directory: Path, vault: Vault) -> AsyncGenerator[Journal, None]:
    """Open this process's journal; what is pending at the end waits for the next start."""
    journal = Journal(directory, vault)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.aclose()


def _create(directory: Path) -> tuple[Path, int]:
    """Make and lock a file; it is in its directory also after a power cut."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = directory / f"tokens-{new_id()}.log"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        descriptor = os.open(path, flags, 0o600)
        # Another process may have seen it without its lock, as if its owner were dead.
        if _lock(descriptor, path):
            break
        os.close(descriptor)
    directory_descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(directory_descriptor)
    finally:
        os.close(directory_descriptor)
    return path, descriptor


def _lock(descriptor: int, path: Path) -> bool:
    """Take the lock of a file that is still in its place."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _frame(operation: str, key: _Key, sealed: str | None) -> bytes:
    payload = orjson.dumps([operation, *key, sealed])
    return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _write(descriptor: int, frame: bytes, *, is_synced: bool) -> None:
    """Append a frame, or empty the file for an empty frame."""
    size = os.fstat(descriptor).st_size
    if not frame:
        os.ftruncate(descriptor, 0)
        return
    try:
        rest = memoryview(frame)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if is_synced:
            os.fsync(descriptor)
    except OSError:
        # Half a frame would hide those that come after it.
        os.ftruncate(descriptor, size)
        raise


def _unsettled(path: Path) -> dict[_Key, str]:
    """Read a journal: sealed records by account and version, without the settled ones."""
    records: dict[_Key, str] = {}
    for operation, account_id, token_version, sealed in _frames(path.read_bytes()):
        if operation == _PUT and sealed is not None:
            records[account_id, token_version] = sealed
        else:
            records.pop((account_id, token_version), None)
    return records


def _frames(data: bytes) -> Iterator[tuple[str, str, int, str | None]]:
    """Yield the records up to the end or to the first that is torn."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        payload = data[position : position + length]
        if not 0 < length <= _MAX_RECORD_BYTES or zlib.crc32(payload) != checksum:
            return
        position += length
        operation, account_id, token_version, sealed = orjson.loads(payload)
        yield operation, account_id, token_version, sealed
