"""A process that is killed in the middle of a refresh loses no account.

AIGATEWAY_TEST_KILLS says how often each is tried (3).
"""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from models.account import TokenState
from tests.fault.token_cluster import Cluster, open_cluster

KILLS = int(os.environ.get("AIGATEWAY_TEST_KILLS", "3"))
SHORT = {"lease_s": 1.0, "http_timeout_s": 0.8, "takeover_grace_s": 0.5, "wait_s": 20.0}

pytestmark = pytest.mark.timeout(60 + 20 * KILLS)


POINTS = ("refresh.after_journal", "refresh.after_commit", "refresh.after_publish")


async def _kill_and_go_on(cluster: Cluster, point: str, number: int) -> None:
    """Kill a process in a refresh; the next one must serve with what the provider gave."""
    await cluster.new_account(number)
    killed = await cluster.run(failpoint=point)
    assert killed.returncode == -signal.SIGKILL
    served = await cluster.run()
    assert served.access == {cluster.idp.families["family"].access: 1}
    assert served.errors == {}
    assert cluster.idp.counts == {"calls": 1, "refreshed": 1}
    stored = await cluster.stored()
    assert stored.credentials.refresh == cluster.idp.families["family"].refresh
    assert stored.account.token_state is TokenState.OK


@pytest.mark.parametrize("point", POINTS)
async def test_from_the_journal_on_no_account_is_lost(tmp_path: Path, point: str) -> None:
    """The lease would run for minutes: the next process must not have to wait for its end."""
    async with open_cluster(tmp_path) as cluster:
        for number in range(KILLS):
            await _kill_and_go_on(cluster, point, 100 + number)


async def test_no_account_is_lost_on_mariadb_and_redis_either(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(tmp_path, mysql_url, redis_url) as cluster:
        for number, point in enumerate(POINTS):
            await _kill_and_go_on(cluster, point, 100 + number)


async def test_a_kill_before_the_call_costs_only_the_grace(tmp_path: Path) -> None:
    async with open_cluster(tmp_path, times=SHORT) as cluster:
        killed = await cluster.run(failpoint="refresh.before_call")
        assert killed.returncode == -signal.SIGKILL
        served = await cluster.run()
        assert served.access == {"access-family-1": 1}
        assert cluster.idp.counts == {"calls": 1, "refreshed": 1}


async def test_a_kill_between_answer_and_journal_ends_after_one_more_try(tmp_path: Path) -> None:
    """The one window in which a provider that allows no re-use costs a new login."""
    async with open_cluster(tmp_path, times=SHORT) as cluster:
        killed = await cluster.run(failpoint="refresh.after_response")
        assert killed.returncode == -signal.SIGKILL
        for _ in range(2):
            refused = await cluster.run(requests=100)
            assert sum(refused.errors.values()) == 100
        assert cluster.idp.counts == {"calls": 2, "refreshed": 1, "reused": 1}
        account = (await cluster.stored()).account
        assert account.token_state is TokenState.NEEDS_REAUTH
        assert account.token_error == "refresh_token_reused"


async def test_those_who_wait_are_served_from_a_dead_sibling_s_journal(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        cluster.idp.latency_s = 0.5
        dying = await cluster.start(failpoint="refresh.after_journal")
        waiting = [await cluster.start(requests=100) for _ in range(2)]
        await asyncio.gather(*(worker.ready() for worker in (dying, *waiting)))
        death = asyncio.create_task(dying.outcome())
        while not cluster.idp.asked:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
        outcomes = await asyncio.gather(*(worker.outcome() for worker in waiting))
        assert (await death).returncode == -signal.SIGKILL
        assert [outcome.access for outcome in outcomes] == [{"access-family-1": 100}] * 2
        assert cluster.idp.counts == {"calls": 1, "refreshed": 1}


async def test_another_machine_waits_for_the_dead_one_to_come_back(tmp_path: Path) -> None:
    """The only copy of the new token is on a disk that it cannot see, and nothing is shared."""
    times = {**SHORT, "takeover_grace_s": 60.0}
    async with open_cluster(tmp_path, times=times) as cluster:
        killed = await cluster.run(failpoint="refresh.after_journal")
        assert killed.returncode == -signal.SIGKILL
        other = await cluster.start(journal_dir=f"{tmp_path}/other")
        await other.ready()
        waiting = asyncio.create_task(other.outcome())
        await asyncio.sleep(2 * SHORT["lease_s"])
        assert not waiting.done()
        back = await cluster.run()
        assert back.access == {"access-family-1": 1}
        assert (await waiting).access == {"access-family-1": 1}
        assert cluster.idp.counts == {"calls": 1, "refreshed": 1}
