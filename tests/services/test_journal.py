"""What is in the journal survives; what is not was never promised."""

import asyncio
import logging
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.vault import Vault
from models.account import Credentials, OAuthClient
from services import journal as journal_module
from services.journal import Journal, open_journal
from services.sealed import TokenRecord

VAULT = Vault.of(bytes(range(32)))
CLIENT = OAuthClient(
    "https://idp.example/token",
    "c",
    "canary-secret",
    ("a", "b"),
    token_body="json",
    token_params={"x": "y"},
)


def _record(account_id: str = "account1", version: int = 1) -> TokenRecord:
    facts = {"project_id": "p"}
    credentials = Credentials(f"canary-access-{version}", "canary-refresh", 1.5, CLIENT, facts)
    return TokenRecord(account_id, version, credentials)


async def _left_behind(directory: Path, *records: TokenRecord) -> Path:
    """A journal whose process is gone; returns its file."""
    async with open_journal(directory, VAULT) as journal:
        for record in records:
            await journal.append(record)
    (path,) = directory.glob("*.log")
    return path


async def test_what_was_appended_is_there_for_the_next_process(tmp_path: Path) -> None:
    records = [_record(), _record("account2", 7)]
    await _left_behind(tmp_path, *records)
    async with open_journal(tmp_path, VAULT) as journal:
        assert journal.pending() == records
        assert await journal.find("account2", 6) == records[1]
        assert await journal.find("account2", 7) is None


async def test_a_record_is_on_the_disk_when_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    async with open_journal(tmp_path, VAULT) as journal:
        (path,) = tmp_path.glob("*.log")
        monkeypatch.setattr("services.journal.os.fsync", sync)
        await journal.append(_record())
        assert synced == [path.stat().st_size]


async def test_what_was_settled_is_not_offered_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path, VAULT) as journal:
        for version in (1, 2, 3):
            await journal.append(_record(version=version))
        await journal.settle("account1", 1)
        await journal.settle("account1", 3)
        await journal.settle("account1", 99)
    async with open_journal(tmp_path, VAULT) as journal:
        assert [record.token_version for record in journal.pending()] == [2]


async def test_the_file_does_not_grow_and_goes_when_everything_is_settled(tmp_path: Path) -> None:
    async with open_journal(tmp_path, VAULT) as journal:
        (path,) = tmp_path.glob("*.log")
        for version in range(20):
            await journal.append(_record(version=version))
            await journal.settle("account1", version)
        assert path.stat().st_size == 0
    assert list(tmp_path.iterdir()) == []


async def test_files_are_private_and_hold_no_secret(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "journal"
    path = await _left_behind(directory, _record())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert b"canary" not in path.read_bytes()
    assert "canary" not in repr(_record())


async def test_the_journal_of_a_living_process_can_be_read_but_not_taken(tmp_path: Path) -> None:
    async with open_journal(tmp_path, VAULT) as living, open_journal(tmp_path, VAULT) as other:
        await living.append(_record())
        assert await other.adopt() == []
        assert await other.find("account1", 0) == _record()
        assert other.pending() == []
        await living.settle("account1", 1)
        assert await other.find("account1", 0) is None


async def test_a_dead_process_s_journal_is_taken_over_by_one_only(tmp_path: Path) -> None:
    async with open_journal(tmp_path, VAULT) as first, open_journal(tmp_path, VAULT) as second:
        await _left_behind(tmp_path / "dead", _record())
        (dead,) = (tmp_path / "dead").iterdir()
        dead.rename(tmp_path / dead.name)
        taken = await asyncio.gather(first.adopt(), second.adopt())
        assert sorted(map(len, taken)) == [0, 1]
        assert not (tmp_path / dead.name).exists()
        assert len([*first.pending(), *second.pending()]) == 1


async def test_what_was_taken_over_survives_the_one_who_took_it(tmp_path: Path) -> None:
    await _left_behind(tmp_path, _record())
    for _ in range(3):
        async with open_journal(tmp_path, VAULT) as journal:
            assert journal.pending() == [_record()]
        assert len(list(tmp_path.iterdir())) == 1


async def test_a_torn_tail_costs_only_what_was_never_acknowledged(tmp_path: Path) -> None:
    path = await _left_behind(tmp_path, _record(version=1), _record(version=2))
    whole = path.read_bytes()
    for size in range(len(whole) // 2, len(whole), 37):
        path.write_bytes(whole[:size])
        found = await asyncio.to_thread(journal_module._unsettled, path)
        assert [key[1] for key in found] == [1]


@given(st.binary(max_size=300), st.integers(0, 400))
def test_whatever_follows_a_record_it_can_still_be_read(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, zeros: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "tokens-x.log"
    frame = journal_module._frame("put", ("account1", 1), "sealed")
    path.write_bytes(frame + bytes(zeros) + tail)
    assert journal_module._unsettled(path)["account1", 1] == "sealed"


async def test_a_failed_append_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) <= 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:100])

    async with open_journal(tmp_path, VAULT) as journal:
        await journal.append(_record(version=1))
        with monkeypatch.context() as patched:
            patched.setattr("services.journal.os.write", full)
            with pytest.raises(OSError, match="No space"):
                await journal.append(_record(version=2))
        await journal.append(_record(version=3))
    async with open_journal(tmp_path, VAULT) as journal:
        assert [record.token_version for record in journal.pending()] == [1, 3]


async def test_a_journal_sealed_with_another_key_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = await _left_behind(tmp_path, _record())
    before = path.read_bytes()
    async with open_journal(tmp_path, Vault.of(bytes(32))) as journal:
        assert journal.pending() == []
        assert await journal.find("account1", 0) is None
    assert path.read_bytes() == before
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_full_disk_at_the_start_leaves_the_old_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await _left_behind(tmp_path, _record())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.journal.os.write", full)
    async with open_journal(tmp_path, VAULT) as journal:
        assert path.exists()
        assert await journal.find("account1", 0) == _record()


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, VAULT)
    await journal.open()
    await journal.aclose()
    await journal.aclose()
