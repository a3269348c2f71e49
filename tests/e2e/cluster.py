"""The program itself, as its own processes, on real stores."""

import asyncio
import base64
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.e2e.harness import Rig
from tests.fakes.private_servers import free_port

_START_S = 60.0


@dataclass
class Cluster(Rig):
    """A gateway of several processes. The operator's calls go to any of them."""

    process: subprocess.Popen[bytes] | None = None
    log: Path = Path()

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 60)


@asynccontextmanager
async def open_cluster(
    folder: Path,
    *,
    workers: int = 1,
    database_url: str = "",
    redis_url: str = "",
    environment: Mapping[str, str] = {},
) -> AsyncGenerator[Cluster, None]:
    """Run `aigateway serve --workers N` and wait until it is ready."""
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
        **environment,
    }
    environ = {**os.environ, **{name: text for name, text in wanted.items() if text}}
    log = folder / "gateway.log"
    async with AsyncExitStack() as stack:
        process = await asyncio.to_thread(_start, environ, workers, log)
        stack.callback(_end, process)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        cluster = Cluster(
            f"http://127.0.0.1:{port}", admin_key, http, stack, process=process, log=log
        )
        await _ready(cluster, workers)
        cluster.key = (await cluster.api("POST", "/api-keys", {"name": "test"}))["key"]
        yield cluster


def _start(environ: Mapping[str, str], workers: int, log: Path) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "aigateway"]
    subprocess.run([*program, "init"], env=environ, check=True, capture_output=True, timeout=60)
    with log.open("ab") as file:
        command = [*program, "serve", "--workers", str(workers)]
        return subprocess.Popen(
            command, env=environ, stdout=file, stderr=file, start_new_session=True
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


async def _ready(cluster: Cluster, workers: int) -> None:
    """Wait until every worker listens: each says so once."""
    assert cluster.process is not None
    async with asyncio.timeout(_START_S):
        while cluster.log.read_bytes().count(b"listening") < workers:
            assert cluster.process.poll() is None, cluster.log.read_text()
            await asyncio.sleep(0.05)
