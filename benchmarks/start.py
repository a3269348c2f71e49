"""What a start costs: seconds until the first model request is answered, and memory when idle.

Each run starts `aigateway serve` as an operator would, on a folder that is ready (database, master
key, a provider on this machine with one account), and asks for a model until it answers. Then the
gateway is left alone for a moment and the kernel is asked what its processes hold: resident
memory, and the share of it that each would free (PSS). Trees take turns, so that a busy machine
slows all of them.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

RUNS: Final = 5
IDLE_S: Final = 3.0
LIMIT_S: Final = 60.0
_COMMAND: Final = (sys.executable, "-m", "aigateway")
ADMIN_KEY: Final = "benchmark-admin-key-0123456789abcdef"
MODEL: Final = "benchmark-model"
# With it every start would compile our own code anew, as no installed gateway does.
_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"
_ANSWER: Final = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
).encode()


@dataclass(frozen=True, slots=True)
class Start:
    """One start, or the medians of several. Memory is in MB for each serving process."""

    first_answer_s: float
    cpu_s: float
    """What the first process had used of the processor by then: a busy machine changes it less."""
    rss_mb: float
    pss_mb: float
    threads: float


class _Provider(BaseHTTPRequestHandler):
    """Answers every call with one short completion."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(_ANSWER)))
        self.end_headers()
        self.wfile.write(_ANSWER)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Tree:
    """A source tree, and a data folder that its gateway made."""

    def __init__(
        self, source: Path, folder: Path, workers: int, environ: Mapping[str, str]
    ) -> None:
        self._workers = workers
        self._folder = folder
        self._environ = {
            **{name: text for name, text in os.environ.items() if name != _NO_BYTECODE},
            **environ,
            "PYTHONPATH": str(source),
            "AIGATEWAY_DATA_DIR": str(folder),
            "AIGATEWAY_SECURITY__ADMIN_KEY": ADMIN_KEY,
            "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
            "AIGATEWAY_LOGS__LEVEL": "warning",
        }

    def prepare(self, provider_port: int) -> None:
        """Make the data folder ready, and let the bytecode of everything be written."""
        subprocess.run(
            [*_COMMAND, "init"],
            cwd=self._folder,
            env=self._environ,
            check=True,
            capture_output=True,
        )
        provider = {
            "id": "benchmark",
            "name": "benchmark",
            "dialect": "chat",
            "base_url": f"http://127.0.0.1:{provider_port}/v1",
            "prefixes": [MODEL],
        }
        account = {
            "provider_id": "benchmark",
            "label": "one",
            "auth_type": "api_key",
            "auth_data": {"api_key": "sk-benchmark"},
        }
        with self._running() as (_, port):
            _until(lambda: _call(port, "GET", "/health/ready") == 200)
            assert _call(port, "POST", "/api/v1/providers", provider) == 201
            assert _call(port, "POST", "/api/v1/accounts", account) == 201
            _until(lambda: _is_answered(port))

    def measure(self) -> Start:
        """Start once."""
        began = time.monotonic()
        with self._running() as (process, port):
            _until(lambda: _is_answered(port))
            first_answer_s, cpu_s = time.monotonic() - began, _cpu_s(process.pid)
            time.sleep(IDLE_S)
            pids = [process.pid] if self._workers == 1 else _children(process.pid)
            rss, pss = zip(*map(_memory_mb, pids), strict=True)
            threads = [len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids]
        return Start(first_answer_s, cpu_s, *map(statistics.mean, (rss, pss, threads)))

    @contextlib.contextmanager
    def _running(self) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        port = _free_port()
        process = subprocess.Popen(
            [*_COMMAND, "serve", "--port", str(port), "--workers", str(self._workers)],
            cwd=self._folder,
            env=self._environ,
        )
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait(LIMIT_S)


def _call(port: int, method: str, path: str, body: object = None) -> int:
    """Return the status; 0 when nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    headers = {"x-api-key": ADMIN_KEY, "content-type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except ConnectionError:
        return 0
    finally:
        connection.close()


def _is_answered(port: int) -> bool:
    message = {"role": "user", "content": "Hello?"}
    body = {"model": MODEL, "messages": [message]}
    return _call(port, "POST", "/v1/chat/completions", body) == 200


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the gateway did not answer in time")
        time.sleep(0.002)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory, and the share of it that is the process's own (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) / 1024 for name, size in (one.split(":") for one in lines)}
    return sizes["Rss"], sizes["Pss"]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        assert isinstance(port, int)
        return port


def _median(starts: Sequence[Start]) -> Start:
    columns = zip(*(astuple(start) for start in starts), strict=True)
    return Start(*(round(statistics.median(column), 3) for column in columns))


def measure(
    sources: Sequence[Path], runs: int, workers: int, environ: Mapping[str, str]
) -> dict[str, Start]:
    """Return the medians of each source tree."""
    provider = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    starts: dict[str, list[Start]] = {str(source): [] for source in sources}
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        trees: dict[str, Tree] = {}
        for number, source in enumerate(sources):
            own = Path(folder, str(number))
            own.mkdir()
            trees[str(source)] = Tree(source, own, workers, environ)
            trees[str(source)].prepare(provider.server_port)
        for _ in range(runs):
            for name, tree in trees.items():
                starts[name].append(tree.measure())
    provider.shutdown()
    return {name: _median(of_tree) for name, of_tree in starts.items()}


def main() -> None:
    """Measure, and print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="*", type=Path, help="source trees; default: this one")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--workers", type=int, default=1, help="more than one needs --redis")
    parser.add_argument("--redis", default="", help="AIGATEWAY_REDIS__URL")
    parser.add_argument("--database", default="", help="AIGATEWAY_DATABASE__URL; one tree only")
    options = parser.parse_args()
    given = {"REDIS__URL": options.redis, "DATABASE__URL": options.database}
    environ = {f"AIGATEWAY_{name}": text for name, text in given.items() if text}
    sources = [path.resolve() for path in options.sources] or [Path(__file__).parents[1]]
    medians = measure(sources, options.runs, options.workers, environ)
    print(json.dumps({name: asdict(start) for name, start in medians.items()}, indent=2))


if __name__ == "__main__":
    main()
