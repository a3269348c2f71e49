"""A gateway as a user starts it: a process from a checkout, set up through `/api/v1`.

Everything is on that is on by default; requests bring a client's key. The process is kept on one
core. Data is in a folder of its own that goes with it.
"""

import asyncio
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from benchmarks import machine

_START_S: Final = 30.0
_STOP_S: Final = 20.0


class SetUpError(Exception):
    """A program under test did not start, or refused how it is set up."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A pretend provider as the gateway is told of it."""

    id: str
    dialect: str
    """`chat` or `messages`."""
    url: str
    """As its SDK takes it: Chat's ends with `/v1`."""
    accounts: int = 10
    egress_policy: str = "direct"

    @property
    def model(self) -> str:
        return f"{self.id}-model"


@dataclass
class Gateway:
    """A gateway process from the sources in `tree`, with its data in `folder`."""

    tree: Path
    folder: Path
    core: int
    environ: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    admin_key: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)
    key: str = field(default="", repr=False)
    """A client's key, once there is one."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    async def start(self) -> float:
        """Make the data folder ready, start, and return the seconds until it was ready."""
        if not (self.folder / "data").exists():
            await asyncio.to_thread(self._init)
        return await self.start_again()

    async def start_again(self) -> float:
        """Start; return the seconds from there until it was ready."""
        if not self.port:
            self.port = free_port()
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aigateway", "serve", "--port", str(self.port)],
                cwd=self.tree,
                env=self._environ(),
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
            )
        while not await asyncio.to_thread(self._is_ready):
            if self.process.poll() is not None or time.monotonic() - began > _START_S:
                raise SetUpError(f"the gateway did not start:\n{self.tail()}")
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def stop(self) -> int:
        """Stop it as an operator would; return its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return await asyncio.to_thread(process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return await asyncio.to_thread(process.wait)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def furnish(self, providers: Sequence[Provider], *, proxy_url: str = "") -> None:
        """Add providers and their accounts, a proxy for those that want one, and a client key."""
        for provider in providers:
            await self.add(provider)
        if proxy_url:
            await self.api(
                "POST",
                "/proxies",
                {"label": "bench", "url": proxy_url, "max_accounts": 100},
            )
        self.key = str((await self.api("POST", "/api-keys", {"name": "bench"}))["key"])

    async def add(self, provider: Provider) -> None:
        """Add a provider with its accounts."""
        told = {
            "id": provider.id,
            "name": provider.id,
            "dialect": provider.dialect,
            "base_url": provider.url,
            "prefixes": [provider.model],
        }
        await self.api("POST", "/providers", told)
        accounts = [
            {
                "provider_id": provider.id,
                "label": f"{provider.id} {number}",
                "auth_type": "api_key",
                "auth_data": {"api_key": f"sk-{provider.id}-{number:06}"},
                "egress_policy": provider.egress_policy,
            }
            for number in range(provider.accounts)
        ]
        await self.api("POST", "/accounts/import", {"accounts": accounts})

    async def api(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Call `/api/v1` as an admin; return the object it answers with."""
        status, answer = await asyncio.to_thread(self._call, method, f"/api/v1{path}", body)
        if not 200 <= status < 300:
            raise SetUpError(f"{method} {path}: {status} {answer[:400].decode(errors='replace')}")
        found = json.loads(answer or b"{}")
        return found if isinstance(found, dict) else {"data": found}

    async def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; NaN where the gateway has no such metric."""
        status, text = await asyncio.to_thread(self._call, "GET", "/metrics", None)
        if status != 200:
            return float("nan")
        values = [
            float(line.rpartition(" ")[2])
            for line in text.decode().splitlines()
            if line.startswith((f"{name} ", f"{name}{{"))
        ]
        return sum(values) if values else float("nan")

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _call(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = None if body is None else json.dumps(body)
        connection.request(
            method,
            path,
            sent,
            {"x-api-key": self.admin_key, "content-type": "application/json"},
        )
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def _is_ready(self) -> bool:
        try:
            return self._call("GET", "/health/ready", None)[0] == 200
        except OSError:
            return False

    def _init(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        run = subprocess.run(
            [sys.executable, "-m", "aigateway", "init"],
            cwd=self.tree,
            env=self._environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SetUpError(f"aigateway init failed: {run.stderr[-2000:]}")

    def _environ(self) -> dict[str, str]:
        # Settings of whoever measures must not be measured with.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIGATEWAY_") and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "PYTHONPATH": str(self.tree),
            "AIGATEWAY_DATA_DIR": str(self.folder / "data"),
            "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
            "AIGATEWAY_SECURITY__ADMIN_KEY": self.admin_key,
            "AIGATEWAY_LOGS__LEVEL": "warning",
            **self.environ,
        }


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def checkout(revision: str, folder: Path) -> Path:
    """Return the sources of a revision in a git worktree of their own; `give_back` removes it."""
    tree = folder / f"tree-{secrets.token_hex(4)}"
    run = subprocess.run(
        ["git", "-C", str(machine.ROOT), "worktree", "add", "--detach", str(tree), revision],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SetUpError(f"no checkout of {revision}: {run.stderr.strip()}")
    return tree


def give_back(tree: Path) -> None:
    """Remove a checkout."""
    subprocess.run(
        ["git", "-C", str(machine.ROOT), "worktree", "remove", "--force", str(tree)],
        capture_output=True,
        check=False,
    )
