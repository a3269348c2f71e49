"""Proxies are asked whether they still lead out, and only their own failures count (pain 39)."""

from collections.abc import AsyncIterator

import pytest

from models.egress import EgressHealth
from models.errors import Conflict
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.services.egress_rig import EgressRig, Target, open_egress_rig

HEALTHY, SUSPECT, QUARANTINED = EgressHealth


@pytest.fixture
async def rig() -> AsyncIterator[EgressRig]:
    async with open_egress_rig() as opened:
        yield opened


@pytest.fixture
async def target(rig: EgressRig) -> Target:
    found = Target()
    await found.start()
    rig.stack.push_async_callback(found.stop)
    return found


def health(rig: EgressRig, proxy_id: str) -> EgressHealth:
    return rig.conditions.of(proxy_id).health


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
async def test_a_probe_goes_through_the_proxy_and_keeps_exit_country_and_latency(
    rig: EgressRig, target: Target, kind: type[FakeProxy]
) -> None:
    proxy_id = await rig.add_proxy(kind("user", "pass"))
    await rig.probes(target.url).round()
    stored = await rig.stores.egress.get(proxy_id)
    assert stored is not None
    assert (stored.exit_address, stored.exit_country) == ("203.0.113.7", "DE")
    assert (stored.checked_at, stored.check_error) == (rig.clock.now(), None)
    assert stored.latency_ms is not None
    assert len(rig.fakes[proxy_id].targets) == target.asked == 1
    assert target.agents == {"aigateway/test"}
    assert health(rig, proxy_id) is HEALTHY


async def test_without_a_target_nobody_is_probed(rig: EgressRig) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    await rig.probes().round()
    assert rig.fakes[proxy_id].connections == 0
    with pytest.raises(Conflict, match="probe_urls"):
        await rig.probes().probe(rig.proxies[proxy_id])


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
async def test_a_dead_proxy_is_quarantined_after_three_failures_for_pauses_that_double(
    rig: EgressRig, target: Target, kind: type[FakeProxy]
) -> None:
    dead, alive = await rig.add_proxy(kind()), await rig.add_proxy(kind())
    await rig.fakes[dead].stop()
    probes = rig.probes(target.url, interval_s=30.0)
    found = []
    for _ in range(3):
        await probes.round()
        found.append(health(rig, dead))
        rig.clock.advance(40)
    assert found == [SUSPECT, SUSPECT, QUARANTINED]
    pauses = []
    for _ in range(6):
        condition = rig.conditions.of(dead)
        if condition.quarantined_until is None:
            await probes.round()  # its pause is over, so it is probed at once
            condition = rig.conditions.of(dead)
        assert condition.quarantined_until is not None
        pauses.append(condition.quarantined_until - rig.clock.now())
        rig.clock.time = condition.quarantined_until
    assert pauses == [60, 120, 240, 480, 600, 600]
    stored = await rig.stores.egress.get(dead)
    assert stored is not None
    assert stored.check_error == "proxy: no connection to the proxy"
    assert health(rig, alive) is HEALTHY


async def test_a_quarantined_proxy_is_left_alone_until_its_pause_ends_and_a_good_probe_ends_it(
    rig: EgressRig, target: Target
) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    rig.fail(proxy_id, 3)
    probes = rig.probes(target.url)
    rig.clock.advance(29)
    await probes.round()
    assert (health(rig, proxy_id), target.asked) == (QUARANTINED, 0)
    rig.clock.advance(2)
    await probes.round()
    assert target.asked == 1
    assert rig.conditions.rest(proxy_id) is None


async def test_only_one_replica_tries_a_proxy_whose_pause_has_ended(
    rig: EgressRig, target: Target
) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    rig.fail(proxy_id, 3)
    rig.clock.advance(31)
    rest = rig.conditions.rest(proxy_id)
    assert rest is not None
    assert await rig.conditions.claim_trial(rest)  # a request has it already
    await rig.probes(target.url).round()
    assert target.asked == 0


async def test_a_probe_on_demand_ends_a_quarantine_before_its_time(
    rig: EgressRig, target: Target
) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    rig.fail(proxy_id, 3)
    rig.clock.advance(1)
    found = await rig.probes(target.url).probe(rig.proxies[proxy_id])
    assert (found.fault, found.reason) == (None, None)
    assert rig.conditions.rest(proxy_id) is None


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_target_quarantines_nobody(
    rig: EgressRig, target: Target, kind: type[FakeProxy], scheme: str
) -> None:
    ids = [await rig.add_proxy(kind()) for _ in range(4)]
    await target.stop()
    probes = rig.probes(target.url.replace("http:", f"{scheme}:"), interval_s=30.0)
    for _ in range(5):
        await probes.round()
        rig.clock.advance(40)
    assert [health(rig, proxy_id) for proxy_id in ids] == [HEALTHY] * 4
    for proxy_id in ids:
        stored = await rig.stores.egress.get(proxy_id)
        assert stored is not None
        assert str(stored.check_error).startswith("target: ")


async def test_where_the_first_target_is_away_the_next_one_is_asked(
    rig: EgressRig, target: Target
) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    gone = Target()
    await gone.start()
    await gone.stop()
    found = await rig.probes(gone.url, target.url).probe(rig.proxies[proxy_id])
    assert (found.error, found.exit.address) == (None, "203.0.113.7")


async def test_a_proxy_that_lost_its_way_out_is_quarantined_while_others_lead_out(
    rig: EgressRig, target: Target
) -> None:
    lost, good = await rig.add_proxy(FakeSocks(mode="lost")), await rig.add_proxy(FakeSocks())
    probes = rig.probes(target.url, interval_s=30.0, concurrency=1)
    for _ in range(5):
        await probes.round()
        rig.clock.advance(40)
    assert rig.conditions.rest(lost) is not None
    assert health(rig, good) is HEALTHY


async def test_a_proxy_that_hangs_is_told_from_a_target_that_hangs(
    rig: EgressRig, target: Target
) -> None:
    hung = await rig.add_proxy(FakeSocks(mode="hang"))
    found = await rig.probes(target.url).probe(rig.proxies[hung])
    assert (found.fault, found.reason) == ("proxy", "proxy: no connection in time")


async def test_a_refusal_without_tls_is_not_taken_for_an_answer(
    rig: EgressRig, target: Target
) -> None:
    target.status = 403
    proxy_id = await rig.add_proxy(FakeProxy())
    found = await rig.probes(target.url).probe(rig.proxies[proxy_id])
    assert (found.fault, found.exit.address) == ("target", None)
    assert health(rig, proxy_id) is HEALTHY


async def test_hostile_answers_harm_nothing_and_what_was_known_stays(
    rig: EgressRig, target: Target
) -> None:
    proxy_id = await rig.add_proxy(FakeProxy())
    probes = rig.probes(target.url)
    await probes.probe(rig.proxies[proxy_id])
    for body in (b"x" * 10_000_000, b'{"ip":"<script>","country":"\x00\x01"}', b"\xff" * 100):
        target.body = body
        rig.clock.advance(1)
        assert (await probes.probe(rig.proxies[proxy_id])).error is None
    stored = await rig.stores.egress.get(proxy_id)
    assert stored is not None
    assert (stored.exit_address, stored.exit_country) == ("203.0.113.7", "DE")


async def test_proxies_are_probed_once_in_their_interval_spread_over_time(
    rig: EgressRig, target: Target
) -> None:
    ids = [await rig.add_proxy(FakeProxy()) for _ in range(12)]
    probes = rig.probes(target.url, interval_s=100.0)
    await probes.round()
    assert target.asked == 12
    seen = []
    for _ in range(5):
        rig.clock.advance(10)
        await probes.round()
        seen.append(target.asked)
    assert seen == [12] * 5
    rounds_with_probes = 0
    for _ in range(8):
        before = target.asked
        rig.clock.advance(10)
        await probes.round()
        rounds_with_probes += target.asked > before
    assert target.asked == 24
    assert rounds_with_probes >= 3
    assert all(rig.fakes[proxy_id].connections == 2 for proxy_id in ids)


async def test_no_more_probes_run_at_once_than_allowed(rig: EgressRig, target: Target) -> None:
    for _ in range(9):
        await rig.add_proxy(FakeProxy())
    most = 0
    inside = 0
    probes = rig.probes(target.url, concurrency=3)
    ask = probes._ask

    async def counted(proxy):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as the method
        nonlocal most, inside
        inside += 1
        most = max(most, inside)
        try:
            return await ask(proxy)
        finally:
            inside -= 1

    probes._ask = counted  # type: ignore[method-assign]
    await probes.round()
    assert (most, target.asked) == (3, 9)


async def test_an_inactive_proxy_is_not_probed(rig: EgressRig, target: Target) -> None:
    proxy_id = await rig.add_proxy(FakeProxy(), is_active=False)
    await rig.probes(target.url).round()
    assert rig.fakes[proxy_id].connections == 0
