import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import spool as spool_module
from services.spool import Spool, read_lines

MIB = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool", max_bytes=MIB)
    yield opened
    opened.close()


def _drain(spool: Spool) -> list[bytes]:
    """Read and remove everything, as the way back to the database does."""
    payloads: list[bytes] = []
    while (segment := spool.oldest()) is not None:
        payloads += segment.payloads
        spool.remove(segment)
    return payloads


def _lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(start, start + count)]


def test_what_was_put_in_comes_out_oldest_first(spool: Spool) -> None:
    assert spool.append(_lines(3))
    assert spool.append(_lines(2, 3))
    assert spool.lines == 5
    assert _drain(spool) == _lines(5)
    assert spool.lines == 0
    assert spool.oldest() is None


def test_a_segment_stays_until_it_is_removed(spool: Spool) -> None:
    spool.append(_lines(3))
    first = spool.oldest()
    spool.append(_lines(3, 3))
    assert spool.oldest() == first
    assert first is not None
    spool.remove(first)
    assert _drain(spool) == _lines(3, 3)


def test_nothing_is_on_disk_before_the_first_line_and_after_the_last(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=MIB)
    spool.adopt()
    spool.append([])
    assert not (tmp_path / "spool").exists()
    spool.append(_lines(1))
    _drain(spool)
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_files_are_readable_by_their_owner_only(tmp_path: Path, spool: Spool) -> None:
    spool.append(_lines(1))
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("spool/*/*")}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("spool/*")} == {0o700}


def test_a_full_spool_gives_up_the_oldest_and_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, max_bytes=8_000)
    for start in range(0, 1_000, 10):
        assert spool.append(_lines(10, start))
    used = sum(path.stat().st_size for path in tmp_path.glob("*/*.lines"))
    assert used <= 8_000
    kept = _drain(spool)
    assert kept == _lines(len(kept), 1_000 - len(kept))
    assert 200 < len(kept) < 450
    assert spool.dropped == 1_000 - len(kept)
    assert len(caplog.records) == 1, "told once a minute"
    spool.close()


def test_a_batch_larger_than_the_spool_is_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=100)
    assert spool.append(_lines(50))
    assert (spool.dropped, spool.lines) == (50, 0)
    spool.close()


def test_the_segment_on_its_way_to_the_database_is_not_given_up(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=4_000)
    spool.append(_lines(10))
    segment = spool.oldest()
    for start in range(10, 500, 10):
        spool.append(_lines(10, start))
    assert segment is not None
    assert segment.path.exists()
    spool.remove(segment)
    assert spool.dropped + len(_drain(spool)) == 490
    spool.close()


def test_segments_of_another_living_process_count_but_are_not_touched(tmp_path: Path) -> None:
    other = Spool(tmp_path, max_bytes=4_000)
    other.append(_lines(100))
    mine = Spool(tmp_path, max_bytes=4_000)
    assert mine.adopt() == 0
    mine.append(_lines(150))
    assert mine.dropped == 150
    assert _drain(other) == _lines(100)
    for spool in (other, mine):
        spool.close()


def test_what_an_ended_process_left_is_adopted_in_order(tmp_path: Path) -> None:
    for start in (0, 10):
        ended = Spool(tmp_path, max_bytes=MIB)
        ended.append(_lines(10, start))
        ended.close()
    spool = Spool(tmp_path, max_bytes=MIB)
    assert spool.adopt() == 20
    spool.append(_lines(10, 20))
    assert spool.lines == 30
    assert _drain(spool) == _lines(30)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_adopting_later_does_not_mix_up_what_is_being_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=MIB)
    spool.append(_lines(5))
    ended = Spool(tmp_path, max_bytes=MIB)
    ended.append(_lines(5, 100))
    ended.close()
    assert spool.adopt() == 5
    spool.append(_lines(5, 5))
    assert sorted(_drain(spool)) == sorted(_lines(10) + _lines(5, 100))
    spool.close()


def test_only_one_of_two_adopts(tmp_path: Path) -> None:
    ended = Spool(tmp_path, max_bytes=MIB)
    ended.append(_lines(10))
    ended.close()
    heirs = [Spool(tmp_path, max_bytes=MIB) for _ in range(2)]
    assert [heir.adopt() for heir in heirs] == [10, 0]
    for heir in heirs:
        heir.close()


_WRITER = """
import sys, time
from pathlib import Path
from services.spool import Spool
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 20)
for n in range(1000):
    spool.append([b"%d" % n])
    print(n, flush=True)
time.sleep(60)
"""


def test_what_was_put_in_before_sigkill_is_adopted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)][-1]
        spool = Spool(tmp_path, max_bytes=MIB)
        assert spool.adopt() == 0, "it lives"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    spool.adopt()
    found = _drain(spool)
    assert found == [b"%d" % n for n in range(len(found))]
    assert len(found) > acknowledged
    spool.close()


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullDisk:
    """A disk that takes a few bytes of each batch and refuses the rest, until it has room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_room = False
        self._takes_part = True
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if self.has_room:
            return self._write(file, data)
        self._takes_part = not self._takes_part
        return _no_space() if self._takes_part else self._write(file, data[:7])


def test_a_full_disk_refuses_and_later_takes_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool.append(_lines(2))
    disk = FullDisk(monkeypatch)
    assert [spool.append(_lines(2, 50)) for _ in range(3)] == [False] * 3
    disk.has_room = True
    assert spool.append(_lines(2, 2))
    assert _drain(spool) == _lines(4)
    assert spool.damaged == 0
    told = [(r.levelno, r.getMessage(), vars(r)["error"]) for r in caplog.records]
    assert told == [
        (logging.ERROR, "statistics spool cannot be written", "No space left on device")
    ]


def test_a_disk_that_cannot_take_a_part_back_costs_only_that_part(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(_lines(2))
    disk = FullDisk(monkeypatch)
    monkeypatch.setattr(os, "ftruncate", _no_space)
    assert not spool.append(_lines(2, 50))
    disk.has_room = True
    assert spool.append(_lines(2, 2))
    assert _drain(spool) == _lines(4)
    assert spool.damaged == 1


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool", max_bytes=MIB)
    assert spool.adopt() == 0
    assert not spool.append(_lines(2))
    assert spool.oldest() is None
    spool.close()


def test_a_lock_that_cannot_be_made_leaves_no_folders_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, max_bytes=MIB)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _no_space)
        assert not spool.append(_lines(2))
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_vanished_does_not_hold_up_the_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=MIB, segment_bytes=1)
    spool.append(_lines(2))
    spool.append(_lines(2, 2))
    min(tmp_path.glob("*/*.lines"), key=lambda path: path.read_bytes()[9:]).unlink()
    assert _drain(spool) == _lines(2, 2)
    assert spool.lines == 0
    spool.close()


_payloads = st.lists(
    st.binary(max_size=30).map(lambda payload: payload.replace(b"\n", b"")), max_size=12
)


def _written(payloads: list[bytes]) -> bytes:
    return b"".join(map(spool_module._framed, payloads))


@given(_payloads)
def test_lines_come_back_byte_by_byte(payloads: list[bytes]) -> None:
    assert read_lines(_written(payloads)) == (payloads, 0)


@given(_payloads, st.data())
def test_a_torn_tail_costs_the_last_line_only(payloads: list[bytes], data: st.DataObject) -> None:
    whole = _written(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    good, damaged = read_lines(whole[:cut])
    complete = whole[:cut].count(b"\n")
    assert good == payloads[:complete]
    assert damaged == (cut > 0 and whole[cut - 1 : cut] != b"\n")


@given(_payloads, st.data())
def test_a_flipped_byte_costs_at_most_its_neighbours(
    payloads: list[bytes], data: st.DataObject
) -> None:
    """A line break that was flipped joins two lines, and a new one parts one in two."""
    damaged_bytes = bytearray(_written(payloads))
    if damaged_bytes:
        place = data.draw(st.integers(0, len(damaged_bytes) - 1))
        damaged_bytes[place] ^= data.draw(st.integers(1, 255))
    good, damaged = read_lines(bytes(damaged_bytes))
    assert damaged <= 2
    assert len(good) >= len(payloads) - 2
    remaining = iter(payloads)
    assert all(payload in remaining for payload in good), "nothing invented, nothing reordered"


@given(st.binary(max_size=300))
def test_garbage_is_never_taken_for_a_line(garbage: bytes) -> None:
    assert read_lines(garbage)[0] == []
