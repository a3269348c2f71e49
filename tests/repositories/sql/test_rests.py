"""Rests over a restart, on both engines."""

import asyncio
from dataclasses import replace

from models.errors import ErrorKind
from models.rest import EVERY_MODEL, NEVER, Rest
from repositories.open import Repositories

BEGAN = 1_800_000_000.123457
REST = Rest("acc-1", EVERY_MODEL, BEGAN, BEGAN + 60, ErrorKind.QUOTA, "5h window", BEGAN + 30, 3)


async def test_what_is_stored_comes_back_as_it_was(stores: Repositories) -> None:
    rests = [
        REST,
        replace(REST, scope="family:opus", trial_at=None, strikes=0),
        replace(REST, subject="acc-2", until=NEVER, evidence="Ä" * 255),
    ]
    await stores.rests.store(rests)
    found = await stores.rests.all(BEGAN)
    assert sorted(found, key=lambda rest: (rest.subject, rest.scope)) == rests
    assert [rest.needs_operator for rest in found if rest.subject == "acc-2"] == [True]


async def test_a_long_evidence_is_cut(stores: Repositories) -> None:
    await stores.rests.store([replace(REST, evidence="x" * 1_000)])
    assert [rest.evidence for rest in await stores.rests.all(BEGAN)] == ["x" * 255]


async def test_a_longer_rest_replaces_a_shorter_one_and_not_the_other_way(
    stores: Repositories,
) -> None:
    longer = replace(REST, until=BEGAN + 600, reason=ErrorKind.BILLING)
    await stores.rests.store([REST])
    await stores.rests.store([longer])
    await stores.rests.store([REST])
    assert await stores.rests.all(BEGAN) == [longer]


async def test_what_ended_ten_minutes_ago_is_not_read(stores: Repositories) -> None:
    await stores.rests.store([REST])
    assert await stores.rests.all(REST.until + 599) == [REST]
    assert await stores.rests.all(REST.until + 600) == []


async def test_what_began_later_survives_the_end_of_what_was_before(stores: Repositories) -> None:
    later = replace(REST, subject="acc-2", began_at=BEGAN + 10)
    await stores.rests.store([REST, later, replace(REST, scope="m")])
    await stores.rests.delete({("acc-1", EVERY_MODEL): BEGAN, ("acc-2", EVERY_MODEL): BEGAN})
    found = await stores.rests.all(BEGAN)
    assert {(rest.subject, rest.scope) for rest in found} == {
        ("acc-1", "m"),
        ("acc-2", EVERY_MODEL),
    }


async def test_many_are_ended_at_once(stores: Repositories) -> None:
    rests = [replace(REST, subject=f"acc-{number:03}") for number in range(450)]
    await stores.rests.store(rests)
    await stores.rests.delete({(rest.subject, rest.scope): BEGAN for rest in rests[:449]})
    assert await stores.rests.all(BEGAN) == rests[449:]
    await stores.rests.delete({})


async def test_old_ones_are_deleted_and_those_that_never_end_stay(stores: Repositories) -> None:
    await stores.rests.store([REST, replace(REST, scope="m", until=NEVER)])
    assert await stores.rests.delete_before(BEGAN + 61) == 1
    assert [rest.scope for rest in await stores.rests.all(0.0)] == ["m"]


async def test_replicas_that_store_the_same_at_once_do_not_disturb_each_other(
    stores: Repositories,
) -> None:
    rests = [replace(REST, subject=f"acc-{number}") for number in range(20)]
    longer = [replace(rest, until=BEGAN + 600) for rest in reversed(rests)]
    await asyncio.gather(*(stores.rests.store(some) for some in (rests, longer) * 4))
    assert {rest.until for rest in await stores.rests.all(BEGAN)} == {BEGAN + 600}


async def test_a_reason_of_a_newer_version_is_passed_over(stores: Repositories) -> None:
    await stores.rests.store([REST, replace(REST, scope="m")])
    await stores.db.run(
        lambda connection: connection.exec_driver_sql(
            "UPDATE rests SET reason = 'of tomorrow' WHERE scope = 'm'"
        )
    )
    assert await stores.rests.all(BEGAN) == [REST]
