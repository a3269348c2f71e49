"""A client that does not read holds little memory and is let go; a bomb is not unpacked whole."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.faults import Behaviour, Exchange, FaultyProvider
from tests.fakes.formats.messages import messages_stream
from tests.fakes.scenarios import Scenario
from tests.fault import upstream_faults as faults
from tests.fault.live_streams import PATHS, request_bytes
from tests.fault.whole_program import ASK, IS_FULL, tell
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

CLIENTS: Final = 100 if IS_FULL else 20
MIB: Final = 1 << 20
# What the kernel takes in on the way, by its own rules, is some 10 MiB for each connection.
TAKEN_BYTES: Final = 64 * MIB
STREAM_BYTES: Final = 1 * MIB
"""Of our own memory, for each stream."""
NOISE_BYTES: Final = 10 * MIB
GONE_S: Final = 1.0


class Firehose:
    """Streams an answer without end as fast as anybody takes it, and counts what was taken."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def __call__(self, exchange: Exchange) -> None:
        events = list(messages_stream(Scenario(text=("x" * 16_000,))))
        place = len(self.taken)
        self.taken.append(0)
        await faults.begin_stream(exchange, events[:2])
        while not exchange.writer.is_closing():
            await exchange.send(faults.chunk(events[2]))
            self.taken[place] += len(events[2])

    async def until_still(self) -> None:
        """Wait until every client has begun and nobody takes anything any more."""
        before = -1
        while sum(self.taken) != before or len(self.taken) < CLIENTS:
            before = sum(self.taken)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def in_front_of(
    folder: Path, behaviour: Behaviour, environment: Mapping[str, str] = {}
) -> AsyncIterator[tuple[Cluster, FaultyProvider]]:
    """Run a gateway process in front of a provider."""
    async with open_cluster(folder, environment=environment) as cluster:
        provider = FaultyProvider(behaviour)
        await cluster.stack.enter_async_context(provider.running())
        await cluster.api("PATCH", "/providers/anthropic", {"base_url": provider.url})
        await cluster.add_account("anthropic", "key-0")
        yield cluster, provider


async def _idle_client(cluster: Cluster, path: str) -> socket.socket:
    """Ask for a stream over a connection that takes in little, and read nothing."""
    host, _, port = cluster.url.removeprefix("http://").partition(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    await loop.sock_sendall(client, request_bytes(cluster, path, stream=True))
    return client


def _memory_bytes(cluster: Cluster, name: str) -> int:
    """Return `VmRSS` (now) or `VmHWM` (the most there was) of the process."""
    assert cluster.process is not None
    status = Path(f"/proc/{cluster.process.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def test_who_does_not_read_holds_the_provider_up_and_not_our_memory(tmp_path: Path) -> None:
    hose = Firehose()
    async with in_front_of(tmp_path, hose) as (cluster, provider):
        with ExitStack() as clients:
            before = _memory_bytes(cluster, "VmRSS")
            for path in PATHS.values():
                for _ in range(CLIENTS // 2):
                    clients.enter_context(await _idle_client(cluster, path))
            await hose.until_still()
            assert provider.open_connections == CLIENTS
            assert max(hose.taken) < TAKEN_BYTES
            grown = _memory_bytes(cluster, "VmRSS") - before
            tell(clients=CLIENTS, taken_mib=max(hose.taken) / MIB, grown_mib=grown / MIB)
            assert grown < CLIENTS * STREAM_BYTES + NOISE_BYTES
            # Others are served meanwhile.
            async with cluster.http.get(f"{cluster.url}/health/ready") as response:
                assert response.status == 200
        await until(lambda: provider.open_connections == 0, GONE_S)
        assert await cluster.stop() == 0
        assert b"Traceback" not in cluster.log.read_bytes()


async def test_who_takes_nothing_for_too_long_is_let_go(tmp_path: Path) -> None:
    hose = Firehose()
    limit = {"AIGATEWAY_SERVER__STALL_TIMEOUT_S": "1"}
    async with in_front_of(tmp_path, hose, limit) as (cluster, provider):
        with await _idle_client(cluster, PATHS["messages"]):
            await until(lambda: hose.taken and provider.open_connections == 0, 30)
            (row,) = await cluster.logs(1)
            assert (row["status"], row["error_code"]) == (499, "cancelled")


async def test_a_bomb_is_not_unpacked_whole(tmp_path: Path) -> None:
    faults.load_bombs()
    limit = {"AIGATEWAY_RETRY__MAX_RESPONSE_BYTES": "4000000"}
    async with in_front_of(tmp_path, faults.zip_bomb, limit) as (cluster, _):
        before = _memory_bytes(cluster, "VmHWM")
        whole = await cluster.post(PATHS["messages"], ASK)
        assert whole.status == 502
        assert _memory_bytes(cluster, "VmHWM") - before < 16 * MIB
        stream = await cluster.post(PATHS["messages"], {**ASK, "stream": True})
        assert stream.status == 200
        assert b"too large" in await stream.read()
        # A long event is held for a while, it may be an image; but never twice.
        grown = _memory_bytes(cluster, "VmHWM") - before
        assert grown < 64 * MIB < faults.BOMB_BYTES
