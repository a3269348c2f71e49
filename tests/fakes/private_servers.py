"""Servers that belong to one test: to be killed, frozen and started again.

All of it blocks; in a coroutine call `start` and `stop` through `asyncio.to_thread`. `kill`,
`freeze` and `thaw` are done at once.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path

import pymysql
from redis import Redis
from redis.exceptions import RedisError

from tests import servers

_START_S = 60.0


class PrivateServer:
    """A server program on a port of its own; its data survives `stop` and `kill`."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def answers(self) -> bool:
        """Whether a client is served now."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or start it again, and wait until it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        limit = time.monotonic() + _START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > limit:
                self.kill()
                raise RuntimeError(f"{self._command[0]} did not start:\n{self._log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in good order, or with SIGKILL when that takes too long."""
        if self._process is None:
            return
        self.thaw()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: connections break at once, new ones are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones come about, and nothing is ever answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


class PrivateRedis(PrivateServer):
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}"
        self.unix_url = f"unix://{folder}/redis.sock?db=1"
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "unixsocket": str(folder / "redis.sock"),
            "save": "",
            "appendonly": "no",
            "dir": str(folder),
            **(options or {}),
        }
        command = [servers.program("redis-server")]
        for name, value in settings.items():
            command += [f"--{name}", value]
        super().__init__(command, port, folder / "redis.log")

    def answers(self) -> bool:
        with contextlib.suppress(RedisError), Redis.from_url(self.url, socket_timeout=1) as client:
            return bool(client.ping())
        return False


class PrivateMariaDB(PrivateServer):
    """A MariaDB with root without a password and the empty database `aigateway`."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        data = folder / "mariadb"
        self.url = f"mysql+pymysql://root@127.0.0.1:{port}/aigateway"
        # Refuses to run as root unless told so; for others the option changes nothing.
        user = ["--user=root"] if os.geteuid() == 0 else []
        _install(data, user)
        command = [
            servers.program("mariadbd"),
            "--no-defaults",
            *user,
            f"--datadir={data}",
            # A server that starts clears its temporary folder, of other servers' tables too.
            f"--tmpdir={folder}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder}/mariadb.sock",
            f"--pid-file={folder}/mariadb.pid",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--skip-log-bin",
            # A commit reaches the system, not the disk: enough to outlive a killed server.
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-name-resolve",
        ]
        super().__init__(command, port, folder / "mariadb.log")

    def start(self) -> None:
        super().start()
        self._execute("CREATE DATABASE IF NOT EXISTS aigateway CHARACTER SET utf8mb4")

    def answers(self) -> bool:
        with contextlib.suppress(pymysql.MySQLError):
            self._execute("SELECT 1")
            return True
        return False

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", connect_timeout=5, read_timeout=30
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)


_HAPROXY = """
global
    maxconn 4096
defaults
    mode http
    timeout connect 2s
    timeout client 300s
    timeout server 300s
    option redispatch
    retries 3
frontend clients
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /health/ready
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1
{servers}
"""


class PrivateHaproxy(PrivateServer):
    """A load balancer before several gateways, which it asks for their health."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        lines = [f"    server gateway{n} 127.0.0.1:{each}" for n, each in enumerate(ports)]
        file = folder / "haproxy.cfg"
        file.write_text(_HAPROXY.format(port=port, servers="\n".join(lines)))
        command = [servers.program("haproxy"), "-f", str(file), "-db"]
        super().__init__(command, port, folder / "haproxy.log")

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(HTTPConnection("127.0.0.1", self.port)) as http,
        ):
            http.request("GET", "/health")
            return http.getresponse().status == 200
        return False


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def private_redis(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[PrivateRedis]:
    """Yield a running Redis; the test ends here where none is installed."""
    server = PrivateRedis(folder, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def private_mariadb(folder: Path) -> Iterator[PrivateMariaDB]:
    """Yield a running MariaDB; the test ends here where none is installed."""
    server = PrivateMariaDB(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder / "mariadb", ignore_errors=True)


def _install(data: Path, user: list[str]) -> None:
    program = servers.program("mariadb-install-db")
    command = [
        program,
        "--no-defaults",
        *user,
        f"--datadir={data}",
        f"--tmpdir={data.parent}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout}\n{done.stderr}")
