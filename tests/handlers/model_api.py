"""The model routes over an executor among fakes, behind a real socket."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import aiohttp

from auth.keys import hash_key
from auth.vault import Vault
from dialects import DIALECTS
from handlers.app import build_app
from handlers.calls import Pace
from handlers.catalog import ModelList
from handlers.connection import TimedRunner
from handlers.endpoint import Endpoint
from handlers.inference import Inference
from handlers.listener import ListeningSite
from handlers.plain_connection import PlainLimits
from handlers.plain_head import PlainHeads
from handlers.plain_lane import PlainLane, request_lines
from handlers.stored_responses import StoredResponseRoutes
from models.exchange import RequestRecord
from models.principal import ApiKey
from repositories.shared_memory import MemoryState
from services.admission import Admission
from services.authenticator import Authenticator
from services.catalog import Catalog
from services.conversations import Conversations
from services.stored_responses import Keeping, StoredResponses
from tests.services.executor_rig import Rig

PEPPER = b"p" * 32
KEY, ADMIN_KEY = "ak_client", "ak_admin"
KEEPING = Keeping()
QUICK = Pace(window_s=0.2, min_bytes_per_s=0)

is_quick_everywhere = True
"""What holds for tests that do not choose: the fixture `way` runs them both ways."""


@dataclass
class Served:
    """A running server and what it noted."""

    url: str
    http: aiohttp.ClientSession
    records: list[RequestRecord]
    stored: StoredResponses
    lane: PlainLane
    runner: TimedRunner

    async def call(
        self, method: str, path: str, body: object = None, *, key: str = KEY, **headers: str
    ) -> aiohttp.ClientResponse:
        """Send a request; the body of the answer is read already."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.http.request(
            method, self.url + path, json=body, headers={"x-api-key": key, **named}
        )
        await response.read()
        return response

    async def wire(self, data: bytes, *, end: bytes = b"", limit_s: float = 10.0) -> bytes:
        """Send bytes as they are and return what came back until the server closed.

        Leaves before that when what came ends with `end`, or after `limit_s`.
        """
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        got = bytearray()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(limit_s):
                while data := await reader.read(65_536):
                    got += data
                    if end and got.endswith(end):
                        break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return bytes(got)


@asynccontextmanager
async def serving(
    rig: Rig,
    extra: Sequence[Endpoint] = (),
    *,
    max_body_bytes: int = 1 << 20,
    pace: Pace = QUICK,
    head_timeout_s: float = 5.0,
    stall_timeout_s: float = 300.0,
    keepalive_timeout_s: float = 75.0,
    strict: bool = False,
    keeping: Keeping = KEEPING,
    max_calls: int = 1000,
    is_quick: bool | None = None,
) -> AsyncGenerator[Served, None]:
    """Serve the model routes and `extra` ones; `is_quick`: plain calls not over aiohttp."""
    names = {KEY: False, ADMIN_KEY: True}
    keys = [
        ApiKey(name, name, hash_key(name, PEPPER), is_admin=admin) for name, admin in names.items()
    ]
    rig.snapshot = replace(rig.snapshot, keys={key.key_hash: key for key in keys})

    async def look() -> None:
        """There is nowhere else to look."""

    authenticator = Authenticator(lambda: rig.snapshot, look, PEPPER, rig.clock)
    records: list[RequestRecord] = []
    stored = StoredResponses(MemoryState(rig.clock), Vault.of(PEPPER), keeping)
    admission = Admission(lambda: rig.executor.calls, max_calls=max_calls, max_lag_s=0.0)
    inference = Inference(
        rig.executor,
        records.append,
        DIALECTS,
        rig.clock,
        max_body_bytes=max_body_bytes,
        admits=admission.admits,
        strict=strict,
        memories={"responses": Conversations(stored)},
    )
    catalog = Catalog(
        lambda: rig.snapshot,
        rig.calls,
        None,  # type: ignore[arg-type] # never asked here, so never stored
        rig.clock,
    )
    endpoints = [
        *inference.endpoints(),
        *StoredResponseRoutes(stored).endpoints(),
        *ModelList(catalog, DIALECTS).endpoints(),
        *extra,
    ]
    lane = PlainLane(
        PlainHeads(request_lines(DIALECTS)),
        inference.serve,
        authenticator,
        admission,
        PlainLimits(max_body_bytes, pace, head_timeout_s, keepalive_timeout_s, stall_timeout_s),
    )
    runner = TimedRunner(
        build_app(endpoints, authenticator, DIALECTS, pace),
        head_timeout_s=head_timeout_s,
        stall_timeout_s=stall_timeout_s,
        keepalive_timeout_s=keepalive_timeout_s,
        shutdown_timeout_s=0.5,
        lane=lane if (is_quick_everywhere if is_quick is None else is_quick) else None,
    )
    await runner.setup()
    try:
        await ListeningSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as http:
            port = runner.addresses[0][1]
            yield Served(f"http://127.0.0.1:{port}", http, records, stored, lane, runner)
    finally:
        await runner.cleanup()
