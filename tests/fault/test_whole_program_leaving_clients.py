"""A client that leaves: the provider's connection is closed, and nothing is left of it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.cluster import open_cluster
from tests.e2e.harness import Rig, open_rig
from tests.fakes.faults import Behaviour, FaultyProvider
from tests.fault import upstream_faults as faults
from tests.fault.live_streams import PATHS, request_bytes
from tests.fault.whole_program import IS_FULL
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

CLIENTS = 1_000 if IS_FULL else 60
GONE_S = 1.0


WAYS: tuple[tuple[Behaviour, bool, str], ...] = (
    (faults.hang_before_head, False, "before a whole answer"),
    (faults.hang_in_the_middle, False, "inside a whole answer"),
    (faults.hang_before_head, True, "before a stream"),
    (faults.hang_after_head, True, "before the content of a stream"),
    (faults.hang_in_the_middle, True, "inside a stream"),
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def add_provider(rig: Rig, provider: FaultyProvider) -> None:
    await rig.stack.enter_async_context(provider.running())
    await rig.api("PATCH", "/providers/anthropic", {"base_url": provider.url})
    await rig.add_account("anthropic", "key-0", models=["claude-fake"])


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize(
    ("behaviour", "stream"),
    [pytest.param(behaviour, stream, id=name) for behaviour, stream, name in WAYS],
)
async def test_a_client_that_leaves_takes_the_provider_s_connection_with_it(
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
    dialect: str,
    behaviour: Behaviour,
    stream: bool,
) -> None:
    caplog.set_level(logging.INFO)
    provider = FaultyProvider(behaviour)
    await add_provider(rig, provider)
    has_content = stream and behaviour is faults.hang_in_the_middle
    clients = [
        await _client(rig, PATHS[dialect], stream=stream, reads=has_content) for _ in range(CLIENTS)
    ]
    await until(lambda: provider.open_connections == CLIENTS, 30)
    for writer in clients:
        writer.close()
    await until(lambda: provider.open_connections == 0, GONE_S)
    assert len(provider.requests) == CLIENTS
    rows = await rig.logs(CLIENTS)
    assert {(row["status"], row["error_code"]) for row in rows} <= {
        (499, "cancelled"),
        # It left after its answer had begun.
        (200, "cancelled"),
    }
    gc.collect()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


async def _client(rig: Rig, path: str, *, stream: bool, reads: bool) -> asyncio.StreamWriter:
    """Send a request; return when it is sent, or once the first bytes of its answer are there."""
    host, _, port = rig.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes(rig, path, stream=stream))
    await writer.drain()
    if reads:
        await reader.readuntil(b"content_block_delta" if "messages" in path else b'"content":')
    return writer


async def test_leaving_clients_leave_no_task_behind_in_the_program_itself(tmp_path: Path) -> None:
    """Its event loop is another than the tests'."""
    async with open_cluster(tmp_path) as cluster:
        provider = FaultyProvider(faults.hang_before_head)
        await add_provider(cluster, provider)
        for behaviour, stream, _ in WAYS:
            provider.behaviour = behaviour
            clients = [
                await _client(cluster, path, stream=stream, reads=False)
                for path in PATHS.values()
                for _ in range(CLIENTS // 6)
            ]
            await until(lambda: provider.open_connections == len(clients), 30)  # noqa: B023
            for writer in clients:
                writer.close()
            await until(lambda: provider.open_connections == 0, GONE_S)
        rows = await cluster.logs(len(provider.requests))
        assert {row["error_code"] for row in rows} == {"cancelled"}
        assert await cluster.stop() == 0
        log = cluster.log.read_text()
        assert "never retrieved" not in log
        assert "was destroyed" not in log
        assert "Traceback" not in log
        assert "ERROR" not in log
