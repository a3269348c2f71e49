"""Several real workers on one port, started as an operator would."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import chosen

ROOT = Path(__file__).parents[2]


class Gateway:
    """A running `aigateway serve`, watched by its log."""

    def __init__(self, folder: Path, redis_url: str, workers: int) -> None:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AIGATEWAY_REDIS__URL": redis_url,
            "AIGATEWAY_LOGS__FORMAT": "json",
            **chosen.settings(),
        }
        command = [sys.executable, "-m", "aigateway"]
        subprocess.run([*command, "init"], cwd=folder, env=environ, check=True, capture_output=True)
        self.process = subprocess.Popen(
            [*command, "serve", "--workers", str(workers), "--port", "0"],
            cwd=folder,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )

    def event(self, message: str) -> dict[str, int]:
        """Read the log up to the event."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line)
            if event["message"] == message:
                assert isinstance(event, dict)
                return event
        raise AssertionError(f"the log ended before: {message}")


@pytest.fixture
def gateway(tmp_path: Path, redis_url: str) -> Iterator[Gateway]:
    started = Gateway(tmp_path, redis_url, 2)
    yield started
    started.process.kill()  # its workers end with it
    started.process.communicate()


def answers(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status
    finally:
        connection.close()


def test_workers_share_a_port_survive_a_death_and_stop_together(gateway: Gateway) -> None:
    port = gateway.event("serving")["port"]
    pids = {
        event["worker_index"]: event["pid"]
        for event in [gateway.event("worker started"), gateway.event("worker started")]
    }
    listening = [gateway.event("listening"), gateway.event("listening")]
    assert {event["worker"] for event in listening} == {0, 1}
    assert {event["port"] for event in listening} == {port}
    assert [answers(port) for _ in range(10)] == [200] * 10

    # What is forked from several threads may be copied in the middle of what one of them does.
    assert len(list(Path(f"/proc/{gateway.process.pid}/task").iterdir())) == 1

    os.kill(pids[0], signal.SIGKILL)
    assert gateway.event("worker died")["code"] == -signal.SIGKILL
    assert [answers(port) for _ in range(10)] == [200] * 10
    assert gateway.event("listening")["worker"] == 0
    assert [answers(port) for _ in range(10)] == [200] * 10

    gateway.process.terminate()
    assert gateway.process.wait(50) == 0
