"""What the whole program tells Prometheus of calls that were made, with one worker and with two."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.e2e.harness import Rig, open_rig
from tests.e2e.test_cluster import ASK, ask_many
from tests.fakes.scenarios import Scenario
from tests.fault.live_streams import long_texts
from tests.scraped import Scraped, scraped


async def scrape(rig: Rig) -> Scraped:
    headers = {"authorization": f"Bearer {rig.admin_key}"}
    # A connection of its own each time, so that any worker may be asked.
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{rig.url}/metrics", headers=headers) as response,
    ):
        assert response.status == 200
        return scraped(await response.text())


async def test_calls_show_as_what_they_were(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        provider = await rig.add_provider("messages", accounts=2)
        for _ in range(3):
            assert (await rig.post("/v1/messages", ASK)).status == 200
        chat = {**ASK, "stream": True}
        assert (await rig.post("/v1/chat/completions", chat)).status == 200
        assert (await rig.post("/v1/messages", b"{")).status == 400
        assert (await rig.post("/v1/messages", {**ASK, "model": "nobody's"})).status == 404
        assert (await rig.post("/v1/messages", ASK, key="wrong")).status == 401
        told = await scrape(rig)
        requests, one = "aigateway_requests_total", {"provider": "anthropic", "status": "2xx"}
        assert told.of(requests, dialect="messages", **one) == 3
        assert told.of(requests, dialect="chat", **one) == 1
        assert told.of(requests, provider="", status="4xx") == 2
        assert told.of(requests) == 6  # who has no key is no caller
        errors = "aigateway_request_errors_total"
        assert told.of(errors, code="invalid_request") == 1
        assert told.of(errors, code="model_not_found") == 1
        assert told.of("aigateway_attempts_total", provider="anthropic") == 4
        asked = provider.scenario
        tokens = "aigateway_tokens_total"
        assert told.of(tokens, kind="input") == 4 * asked.input_tokens
        assert told.of(tokens, kind="output") == 4 * asked.output_tokens
        duration = "aigateway_request_duration_seconds_count"
        assert told.of(duration, provider="anthropic", stream="false") == 3
        assert told.of(duration, provider="anthropic", stream="true") == 1
        assert told.of("aigateway_accounts", provider="anthropic", state="available") == 2
        assert told.of("aigateway_requests_in_flight") == 0
        assert not list(tmp_path.rglob("metrics"))  # nobody to share with


async def test_streams_show_while_they_run(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        provider = await rig.add_provider("messages")
        provider.scenario, provider.pause_s = Scenario(**long_texts(200)), 0.05
        headers = {"authorization": f"Bearer {rig.key}"}
        body = {**ASK, "stream": True}
        async with rig.http.post(f"{rig.url}/v1/messages", json=body, headers=headers) as response:
            await response.content.readany()
            told = await scrape(rig)
            assert told.of("aigateway_streams_in_flight") == 1
            assert told.of("aigateway_requests_in_flight") == 1
            response.close()
        async with asyncio.timeout(10):
            while (await scrape(rig)).of("aigateway_requests_in_flight"):  # noqa: ASYNC110 - asked from outside
                await asyncio.sleep(0.05)
        told = await scrape(rig)
        assert told.of("aigateway_streams_in_flight") == 0
        assert told.of("aigateway_request_errors_total", code="cancelled") == 1


@pytest.mark.timeout(180)
async def test_two_workers_answer_as_one_through_a_kill_and_not_after_a_restart(
    tmp_path: Path, redis_url: str
) -> None:
    async with open_cluster(tmp_path, workers=2, redis_url=redis_url) as cluster:
        await cluster.add_provider("messages", accounts=2)
        await asyncio.sleep(1.0)  # every process knows
        assert await ask_many(cluster, 100) == {200: 100}
        told = await _all_told(cluster, 100)
        assert told.labels("aigateway_process_open_fds", "worker") == {"0", "1"}
        assert told.of("aigateway_workers") == 2

        await asyncio.sleep(2.0)  # both have written what they counted
        listening, seen, victim = cluster.listening(), [100.0], cluster.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(30):
            while cluster.listening() == listening:
                with suppress(aiohttp.ClientError):  # it was just being killed
                    seen.append((await scrape(cluster)).of("aigateway_requests_total"))
                await asyncio.sleep(0.05)
        seen += [(await scrape(cluster)).of("aigateway_requests_total") for _ in range(20)]
        assert set(seen) == {100}
        assert await ask_many(cluster, 50) == {200: 50}
        await _all_told(cluster, 150)

        assert await cluster.stop() == 0
        await cluster.start()
        assert (await scrape(cluster)).of("aigateway_requests_total") == 0


async def _all_told(cluster: Cluster, count: int) -> Scraped:
    """Return a scrape once it tells of every call; whoever is asked must say the same then."""
    async with asyncio.timeout(20):
        while (told := await scrape(cluster)).of("aigateway_requests_total") < count:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.1)
    again = [(await scrape(cluster)).of("aigateway_requests_total") for _ in range(20)]
    assert set(again) == {count}
    return told
