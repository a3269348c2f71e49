"""The program itself, as its own processes, on real stores."""

import asyncio
import base64
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests import chosen
from tests.e2e.harness import Rig
from tests.fakes.private_servers import free_port

_START_S = 60.0


@dataclass
class Cluster(Rig):
    """A gateway of several processes. The operator's calls go to any of them."""

    process: subprocess.Popen[bytes] | None = None
    log: Path = Path()
    workers: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    program: str = "aigateway"
    arguments: tuple[str, ...] = ()

    async def start(self) -> None:
        """Run it, and wait until every worker listens."""
        before = self.listening()
        self.process = await asyncio.to_thread(_start, self)
        async with asyncio.timeout(_START_S):
            while self.listening() < before + self.workers:
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)

    def listening(self) -> int:
        """Return how many workers began to listen so far: each says so once."""
        return self.log.read_bytes().count(b"listening") if self.log.exists() else 0

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 60)

    def worker_pids(self) -> list[int]:
        """Return the processes that serve, when there are several; by the kernel's list."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(text) for text in children.read_text().split()] if children.exists() else []

    def end(self) -> None:
        """Kill whatever is left of it."""
        if self.process is not None:
            # Each worker leads a process group of its own.
            for pid in (self.process.pid, *self.worker_pids()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(20)


@asynccontextmanager
async def open_cluster(
    folder: Path,
    *,
    workers: int = 1,
    database_url: str = "",
    redis_url: str = "",
    environment: Mapping[str, str] = {},
    program: str = "aigateway",
    arguments: Sequence[str] = (),
) -> AsyncGenerator[Cluster, None]:
    """Run `aigateway serve --workers N` and wait until it is ready.

    `program` names another module that runs it; `arguments` follow `serve`.
    """
    port, admin_key = free_port(), "admin-" + secrets.token_hex(20)
    master_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    folder.mkdir(exist_ok=True)
    wanted = {
        "AIGATEWAY_DATA_DIR": str(folder / "data"),
        "AIGATEWAY_SERVER__PORT": str(port),
        "AIGATEWAY_SECURITY__ADMIN_KEY": admin_key,
        "AIGATEWAY_SECURITY__MASTER_KEY": master_key,
        "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
        "AIGATEWAY_DATABASE__URL": database_url,
        "AIGATEWAY_REDIS__URL": redis_url,
        "AIGATEWAY_SERVER__DRAIN_TIMEOUT_S": "20",
        **chosen.settings(),
        **environment,
    }
    environ = {**os.environ, **{name: text for name, text in wanted.items() if text}}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        cluster = Cluster(
            f"http://127.0.0.1:{port}",
            wanted["AIGATEWAY_SECURITY__ADMIN_KEY"],
            http,
            stack,
            log=folder / "gateway.log",
            workers=workers,
            environ=environ,
            program=program,
            arguments=tuple(arguments),
        )
        stack.callback(cluster.end)
        await asyncio.to_thread(_init, environ)
        await cluster.start()
        cluster.key = (await cluster.api("POST", "/api-keys", {"name": "test"}))["key"]
        yield cluster


def _init(environ: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "aigateway", "init"]
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)


def _start(cluster: Cluster) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", cluster.program, "serve", "--workers", str(cluster.workers)]
    command += cluster.arguments
    with cluster.log.open("ab") as file:
        return subprocess.Popen(
            command, env=cluster.environ, stdout=file, stderr=file, start_new_session=True
        )
