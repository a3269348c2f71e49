import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aigateway.supervisor import reserve_port

# What a worker does: it leaves a file at its start and ends as its mode says.
WORKER = """
import os, signal, sys
from pathlib import Path

def work(index):
    folder, mode = Path(sys.argv[7]), sys.argv[8]

    def on_signal(number, frame):
        (folder / f"{index}.{os.getpid()}.got.{number}").touch()
        if mode != "stubborn":
            sys.exit(3 if mode == "fails" else 0)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    assert os.environ["AIGATEWAY_WORKER"] == str(index)
    (folder / f"{index}.{os.getpid()}").touch()
    if mode == "refuses":
        return 2
    if mode == "dies":
        return 7
    if mode == "breaks":
        raise RuntimeError("broken")
    while True:
        signal.pause()
"""

PARENT = """
from aigateway.supervisor import Pauses, run_workers
from config.logs import configure_logging

configure_logging("info", "json")
pauses = Pauses(*map(float, sys.argv[1:6]))
sys.exit(run_workers(int(sys.argv[6]), work, pauses=pauses))
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a supervisor of stub workers; whatever is left at the end is killed."""
    folder = tmp_path / "seen"
    folder.mkdir()
    parents: list[subprocess.Popen[str]] = []

    def run(
        mode: str,
        count: int = 2,
        *,
        first_s: float = 0.05,
        longest_s: float = 0.05,
        stop_s: float = 60,
        hurry_s: float = 60,
    ) -> subprocess.Popen[str]:
        pauses = [str(pause) for pause in (first_s, longest_s, 60, stop_s, hurry_s)]
        parent = subprocess.Popen(
            [sys.executable, "-c", WORKER + PARENT, *pauses, str(count), str(folder), mode],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        parents.append(parent)
        return parent

    yield run
    for pid in {int(path.name.split(".")[1]) for path in folder.iterdir()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for parent in parents:
        parent.kill()
        parent.communicate()


def until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def seen(tmp_path: Path) -> dict[str, list[str]]:
    """What the workers left, by worker: starts as pid, signals as pid.got.number."""
    result: dict[str, list[str]] = {}
    for path in sorted((tmp_path / "seen").iterdir()):
        index, _, what = path.name.partition(".")
        result.setdefault(index, []).append(what)
    return result


def starts(tmp_path: Path) -> dict[str, list[int]]:
    return {
        index: [int(what) for what in items if "got" not in what]
        for index, items in seen(tmp_path).items()
    }


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_end_of_all_is_waited_for(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    parent = start("obeys", 3)
    until(lambda: set(starts(tmp_path)) == {"0", "1", "2"})
    parent.send_signal(number)
    assert parent.wait(30) == 0
    for items in seen(tmp_path).values():
        assert [what.partition(".got.")[2] for what in items] == ["", str(int(number))]


def test_a_dead_worker_is_started_again_and_the_other_is_left_alone(
    start: Start, tmp_path: Path
) -> None:
    parent = start("obeys")
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    os.kill(starts(tmp_path)["0"][0], signal.SIGKILL)
    until(lambda: len(starts(tmp_path)["0"]) == 2)
    assert len(starts(tmp_path)["1"]) == 1
    parent.terminate()
    assert parent.wait(30) == 0


def test_the_pause_before_a_restart_doubles_up_to_its_limit(start: Start, tmp_path: Path) -> None:
    parent = start("dies", 1, first_s=0.01, longest_s=0.04)
    until(lambda: len(starts(tmp_path).get("0", [])) >= 5)
    parent.terminate()
    _, log = parent.communicate(timeout=30)
    deaths = [event for event in map(json.loads, log.splitlines()) if "code" in event]
    assert [event["restart_in_s"] for event in deaths[:4]] == [0.01, 0.02, 0.04, 0.04]
    assert {event["code"] for event in deaths[:4]} == {7}


def test_after_a_second_signal_workers_have_little_time(start: Start, tmp_path: Path) -> None:
    parent = start("stubborn", hurry_s=0.1)
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    parent.terminate()
    until(lambda: all(len(items) == 2 for items in seen(tmp_path).values()))
    assert parent.poll() is None
    parent.terminate()
    assert parent.wait(30) == 1
    assert not any(is_alive(pid) for pids in starts(tmp_path).values() for pid in pids)


def test_a_third_signal_kills_at_once(start: Start, tmp_path: Path) -> None:
    parent = start("stubborn", hurry_s=3000)
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    parent.terminate()
    until(lambda: all(len(items) == 2 for items in seen(tmp_path).values()))
    parent.send_signal(signal.SIGINT)
    until(lambda: all(len(items) == 3 for items in seen(tmp_path).values()))
    assert parent.poll() is None
    parent.terminate()
    assert parent.wait(30) == 1
    assert not any(is_alive(pid) for pids in starts(tmp_path).values() for pid in pids)


def test_workers_that_do_not_stop_in_time_are_killed(start: Start, tmp_path: Path) -> None:
    parent = start("stubborn", stop_s=0.1)
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    parent.terminate()
    assert parent.wait(30) == 1


def test_a_worker_that_fails_while_stopping_shows_in_the_exit_code(
    start: Start, tmp_path: Path
) -> None:
    parent = start("fails")
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    parent.terminate()
    assert parent.wait(30) == 1


def test_a_refused_configuration_ends_all_at_once(start: Start, tmp_path: Path) -> None:
    assert start("refuses").wait(30) == 2
    assert all(len(pids) == 1 for pids in starts(tmp_path).values())


def test_a_worker_that_breaks_says_why_and_is_started_again(start: Start, tmp_path: Path) -> None:
    parent = start("breaks", 1)
    until(lambda: len(starts(tmp_path).get("0", [])) >= 2)
    parent.terminate()
    _, log = parent.communicate(timeout=30)
    assert "RuntimeError: broken" in log
    deaths = [json.loads(line) for line in log.splitlines() if '"worker died"' in line]
    assert deaths[0]["code"] == 1


def test_a_signal_during_a_pause_ends_the_pause(start: Start) -> None:
    parent = start("dies", 1, first_s=3000, longest_s=3000)
    assert parent.stderr is not None
    assert any("worker died" in line for line in parent.stderr)  # reads up to it
    parent.terminate()
    assert parent.wait(30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_workers_end_with_a_killed_supervisor(start: Start, tmp_path: Path) -> None:
    parent = start("obeys")
    until(lambda: set(starts(tmp_path)) == {"0", "1"})
    parent.kill()
    until(lambda: not any(is_alive(pid) for pids in starts(tmp_path).values() for pid in pids))


def test_a_supervisor_that_waits_uses_no_processor_time(start: Start, tmp_path: Path) -> None:
    parent = start("obeys")
    until(lambda: set(starts(tmp_path)) == {"0", "1"})

    def ticks() -> int:
        fields = Path(f"/proc/{parent.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.2)
    before = ticks()
    time.sleep(0.5)
    assert ticks() - before <= 2
    parent.terminate()
    assert parent.wait(30) == 0


def test_a_reserved_port_is_one_port_that_workers_can_share() -> None:
    with reserve_port("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
        for _ in range(2):
            with socket.socket() as worker:
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                worker.bind(("127.0.0.1", port))
                worker.listen()
                with socket.create_connection(("127.0.0.1", port), timeout=10):
                    worker.accept()[0].close()


def test_a_port_that_somebody_serves_cannot_be_reserved() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="Address already in use"):
            reserve_port("127.0.0.1", other.getsockname()[1])


def test_a_port_is_free_again_as_soon_as_a_gateway_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            # The side that closes first keeps the port in TIME_WAIT.
            other.accept()[0].close()
            assert client.recv(1) == b""
    reserve_port("127.0.0.1", port).close()
