"""A whole gateway for a test: real server, real SQLite, pretend providers, REST as its operator."""

import asyncio
import base64
import io
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp

from aigateway.app import serving
from aigateway.first_start import prepare
from config.sources import load_settings
from repositories.sql.migrate import migrate
from tests import chosen
from tests.fakes.provider import FakeProvider, Kind

PROVIDER_IDS: Mapping[Kind, str] = {
    "messages": "anthropic",
    "chat": "openai",
    "glm": "glm",
    "gemini": "gemini",
    "antigravity": "antigravity",
}
MODELS: Mapping[Kind, str] = {
    "messages": "claude-fake",
    "chat": "gpt-fake",
    "glm": "glm-fake",
    "gemini": "gemini/gemini-3-fake",
    "antigravity": "antigravity/gemini-3-fake",
}

PROJECT = "project-told"
"""The Code Assist project that an account's metadata names, where it does."""


@dataclass
class Rig:
    """A running gateway and what stands around it."""

    url: str
    admin_key: str
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    key: str = ""
    providers: dict[Kind, FakeProvider] = field(default_factory=dict)

    async def api(
        self, method: str, path: str, body: object = None, *, expect: int | None = None
    ) -> Any:  # noqa: ANN401 - JSON of many shapes, in tests
        """Call `/api/v1` as the operator; fails unless the status is 2xx or the expected one."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        async with self.http.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=headers
        ) as response:
            text = await response.text()
            wanted = response.status == expect if expect else response.status < 300
            assert wanted, f"{method} {path}: {response.status} {text}"
            return await response.json() if text else None

    async def add_provider(self, kind: Kind, *, accounts: int = 1) -> FakeProvider:
        """Start a pretend provider, point the gateway to it, add accounts `key-0`, `key-1`..."""
        fake = FakeProvider(kind)
        runner = await fake.start()
        self.stack.push_async_callback(runner.cleanup)
        provider_id = PROVIDER_IDS[kind]
        await self.api("PATCH", f"/providers/{provider_id}", {"base_url": fake.url})
        for number in range(accounts):
            await self.add_account(provider_id, f"key-{number}", **_fields(kind, number))
        self.providers[kind] = fake
        return fake

    async def add_account(self, provider_id: str, key: str, **fields: object) -> Any:  # noqa: ANN401 - JSON
        body = {
            "provider_id": provider_id,
            "label": f"account {key}",
            "auth_type": "api_key",
            "auth_data": {"api_key": key},
            **fields,
        }
        return await self.api("POST", "/accounts", body)

    async def post(
        self, path: str, body: object, *, key: str | None = None, headers: Mapping[str, str] = {}
    ) -> aiohttp.ClientResponse:
        """Call a model route as a client; the body is read already."""
        sent = {
            "authorization": f"Bearer {self.key if key is None else key}",
            "content-type": "application/json",
            **headers,
        }
        # A stream, because aiohttp warns of large bodies given as bytes.
        options: dict[str, Any] = (
            {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
        )
        response = await self.http.post(self.url + path, headers=sent, **options)
        await response.read()
        return response

    async def logs(self, count: int) -> list[dict[str, Any]]:
        """Return the newest rows of `request_logs`, once there are `count` of them."""
        async with asyncio.timeout(30):
            while (page := await self.api("GET", "/stats/logs?limit=500"))["total"] < count:  # noqa: ASYNC110 - another process writes them
                await asyncio.sleep(0.02)
        found: list[dict[str, Any]] = page["data"]
        return found


def _fields(kind: Kind, number: int) -> dict[str, object]:
    """Code Assist knows tokens only; the project of every other account has to be found out."""
    if kind != "antigravity":
        return {}
    token: dict[str, object] = {"auth_type": "bearer", "auth_data": {"token": f"key-{number}"}}
    return token if number % 2 else {**token, "metadata": {"project_id": PROJECT}}


@asynccontextmanager
async def open_rig(
    folder: Path, environment: Mapping[str, str] = {}, *, demo: bool = False
) -> AsyncGenerator[Rig, None]:
    """Run a gateway on loopback, in this process, with a client key."""
    environ = {
        "AIGATEWAY_DATA_DIR": str(folder / "data"),
        "AIGATEWAY_CONFIG": "",
        "AIGATEWAY_SERVER__PORT": "0",
        "AIGATEWAY_SECURITY__ADMIN_KEY": "admin-" + secrets.token_hex(20),
        "AIGATEWAY_SECURITY__MASTER_KEY": base64.urlsafe_b64encode(
            secrets.token_bytes(32)
        ).decode(),
        "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
        "AIGATEWAY_STATS__FLUSH_INTERVAL_S": "0.05",
        "AIGATEWAY_SERVER__DRAIN_TIMEOUT_S": "1",
        **chosen.settings(),
        **environment,
    }
    set_up = {name: text for name, text in environ.items() if text}
    settings = await asyncio.to_thread(load_settings, None, set_up)
    await asyncio.to_thread(_copy_database, folder / "data")
    await asyncio.to_thread(prepare, settings, lambda _: None)
    async with AsyncExitStack() as stack:
        _, runner = await stack.enter_async_context(serving(settings, demo=demo))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        host, port = runner.addresses[0][:2]
        admin_key = environ["AIGATEWAY_SECURITY__ADMIN_KEY"]
        rig = Rig(f"http://{host}:{port}", admin_key, http, stack)
        rig.key = (await rig.api("POST", "/api-keys", {"name": "test"}))["key"]
        yield rig


@cache
def _empty_database() -> bytes:
    """A migrated SQLite file; migrating one takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        migrate(f"sqlite:///{file}")
        return file.read_bytes()


def _copy_database(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "aigateway.db"
    if not file.exists():
        file.write_bytes(_empty_database())
