import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

from models.account import AuthType, Credentials, EgressPolicy
from models.errors import NotFound
from repositories.base import AccountChange, EgressChange
from repositories.open import Repositories
from tests.repositories.build import OPEN, account, add_accounts, counters, places, proxy

ROOT = Path(__file__).parents[3]
REQUIRED = EgressPolicy.REQUIRED


async def _creators(url: str, processes: int, count: int) -> None:
    """Let several processes create accounts at the same time."""
    command = [sys.executable, "-m", "tests.repositories.creator", url, str(count)]
    pipe = asyncio.subprocess.PIPE
    started = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    ends = await asyncio.gather(*(process.communicate(b"go\n") for process in started))
    assert len(ends) == processes
    assert [process.returncode for process in started] == [0] * processes


async def test_sixty_accounts_from_two_processes_take_exactly_ten_places(
    stores: Repositories, database_url: str
) -> None:
    await stores.egress.create(proxy("a", 4, priority=1))
    await stores.egress.create(proxy("b", 6))
    await _creators(database_url, 2, 30)
    assert Counter(await places(stores)) == {"a": 4, "b": 6, "WAITING": 50}
    assert await counters(stores) == {"a": 4, "b": 6}
    stored = await stores.accounts.all()
    holders = [one.account.id for one in stored if one.account.proxy_id is not None]
    await asyncio.gather(*(stores.accounts.delete(account_id) for account_id in holders[:3]))
    assert Counter(await places(stores)) == {"a": 4, "b": 6, "WAITING": 47}
    assert await counters(stores) == {"a": 4, "b": 6}
    # Who waited longest was let in.
    kept = [one.account.proxy_id is not None for one in await stores.accounts.all()]
    waiting = [one.account.id for one in stored if one.account.proxy_id is None]
    let_in = [
        one.account.id
        for one, has_place in zip(await stores.accounts.all(), kept, strict=True)
        if has_place and one.account.id in waiting
    ]
    assert let_in == waiting[:3]


async def test_any_mixture_of_changes_keeps_capacities_and_counters(
    stores: Repositories, database_url: str
) -> None:
    proxies = [await stores.egress.create(proxy(f"p{n}", n)) for n in (1, 2, 3)]
    accounts = await add_accounts(stores, 8, REQUIRED)
    chance = random.Random(7)

    async def change_account() -> None:
        change = chance.choice(
            [
                AccountChange(is_active=False),
                AccountChange(is_active=True),
                AccountChange(egress_policy=EgressPolicy.DIRECT),
                AccountChange(egress_policy=REQUIRED),
            ]
        )
        await stores.accounts.update(chance.choice(accounts).id, change)

    async def change_proxy() -> None:
        change = EgressChange(is_active=chance.random() < 0.7)
        await stores.egress.update(chance.choice(proxies).id, change)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_creators(database_url, 1, 10))
        for _ in range(20):
            tasks.create_task(change_account())
            tasks.create_task(change_proxy())
    found = {one.label: one for one in await stores.egress.all()}
    for label, count in (await counters(stores)).items():
        limit = found[label].max_accounts if found[label].is_active else 0
        assert count <= limit, label
    room = [one for one in found.values() if one.is_active and one.assigned < one.max_accounts]
    waits = [
        stored
        for stored in await stores.accounts.all()
        if stored.account.is_active
        and stored.account.egress_policy is REQUIRED
        and stored.account.proxy_id is None
    ]
    assert not (room and waits)


async def test_fifty_who_want_one_refresh_lease_have_one_winner(stores: Repositories) -> None:
    created = await stores.accounts.create(account(auth_type=AuthType.OAUTH), OPEN)
    taken = await asyncio.gather(
        *(
            stores.accounts.take_refresh_lease(
                created.id, f"worker-{number}", 0, now=100.0, lease_s=60.0
            )
            for number in range(50)
        )
    )
    assert sum(taken) == 1
    winner = f"worker-{taken.index(True)}"
    assert await stores.accounts.refresh_lease(created.id) == (winner, 160.0)


async def test_of_two_refreshes_of_one_version_one_is_stored(stores: Repositories) -> None:
    created = await stores.accounts.create(account(auth_type=AuthType.OAUTH), OPEN)
    stored = await asyncio.gather(
        *(
            stores.accounts.store_tokens(created.id, 0, Credentials(f"token-{number}"))
            for number in range(10)
        )
    )
    assert sum(stored) == 1
    kept = await stores.accounts.get(created.id)
    assert kept is not None
    assert kept.credentials.access == f"token-{stored.index(True)}"
    assert kept.account.token_version == 1


async def test_one_of_many_claims_a_slot(stores: Repositories) -> None:
    claimed = await asyncio.gather(
        *(
            stores.jobs.claim("retention", "2027-01-15", f"worker-{number}", now=1.0)
            for number in range(20)
        )
    )
    assert sum(claimed) == 1


async def test_an_account_is_deleted_once(stores: Repositories) -> None:
    await stores.egress.create(proxy("a", 1))
    (created, _) = await add_accounts(stores, 2, REQUIRED)
    results = await asyncio.gather(
        *(stores.accounts.delete(created.id) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [NotFound] * 4
    assert await places(stores) == ["a"]
