"""What replicas know of each other's bindings, and how much of it a process keeps."""

import pytest
from redis.asyncio import Redis

from services import bindings
from services.bindings import Binding, Bindings
from tests.services.affinity_rig import TTL_S, Replica, Stage, open_stage
from tests.waiting import until

ID = "a" * 32


def begin(replica: Replica, home: str, binding_id: str = ID, key_id: str = "k") -> None:
    replica.bindings.begin(binding_id, key_id, "openai", "gpt-x", home)


async def home_of(replica: Replica, binding_id: str = ID, key_id: str = "k") -> str | None:
    """Return where a conversation lives, as a request finds it out."""
    found = replica.bindings.find(binding_id)
    if found is None:
        await replica.bindings.ask(binding_id, key_id, "openai", "gpt-x")
        found = replica.bindings.find(binding_id)
    return None if found is None else found.home


async def forgotten(replica: Replica) -> None:
    """Wait until a replica does not know of the conversation any more."""
    await until(lambda: replica.bindings.find(ID) is None)


async def known_everywhere(stage: Stage, home: str) -> None:
    begin(stage.replicas[0], home)
    await stage.settle()
    for replica in stage.replicas:
        assert await home_of(replica) == home


@pytest.mark.parametrize("subject", ["account:one", "key:k"])
async def test_what_one_replica_makes_void_is_void_in_all(redis_url: str, subject: str) -> None:
    async with open_stage(redis_url, replicas=3) as stage:
        await known_everywhere(stage, "one")
        stage.clock.advance(1)
        await stage.replicas[1].bindings.void(subject)
        for replica in stage.replicas:
            await forgotten(replica)
            assert await home_of(replica) is None
        # It may be bound again, which all believe.
        stage.clock.advance(1)
        begin(stage.replicas[2], "two")
        await stage.settle()
        for replica in stage.replicas:
            assert await home_of(replica) == "two"


async def test_a_replica_that_did_not_hear_of_it_finds_out(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=2) as stage:
        await known_everywhere(stage, "one")
        stage.clock.advance(1)
        deaf = Bindings(
            stage.replicas[0].shared, stage.replicas[0].background, stage.clock, ttl_s=TTL_S
        )
        await deaf.ask(ID, "k", "openai", "gpt-x")
        await stage.replicas[1].bindings.void("account:one")
        assert deaf.find(ID) is not None
        stage.replicas[0].background.loop("follow", deaf.follow)
        await until(lambda: deaf.find(ID) is None)


async def test_one_binding_is_forgotten_by_all(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=3) as stage:
        await known_everywhere(stage, "one")
        await stage.replicas[1].bindings.forget(ID)
        for replica in stage.replicas:
            await forgotten(replica)
            assert await home_of(replica) is None


async def test_an_operators_move_is_believed_by_all(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=3) as stage:
        await known_everywhere(stage, "one")
        assert await stage.replicas[1].bindings.rebind(ID, "two")
        for replica in (stage.replicas[0], stage.replicas[2]):
            await forgotten(replica)
        for replica in stage.replicas:
            assert await home_of(replica) == "two"
        assert not await stage.replicas[1].bindings.rebind("b" * 32, "two")


async def test_a_replica_that_knows_nothing_of_a_conversation_can_move_it(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=2) as stage:
        begin(stage.replicas[0], "one")
        await stage.settle()
        assert await stage.replicas[1].bindings.rebind(ID, "two")
        await until(lambda: stage.replicas[0].bindings.find(ID) is None)
        assert await home_of(stage.replicas[0]) == "two"


async def test_who_missed_a_move_believes_it_with_the_next_renewal(redis_url: str) -> None:
    async with open_stage(redis_url) as stage:
        replica = stage.replicas[0]
        begin(replica, "one")
        await stage.settle()
        moved = Binding(ID, "k", "openai", "gpt-x", "two", stage.clock.now(), 0.0, 0.0)
        await replica.shared.put(f"affinity:{ID}", moved.value, TTL_S)
        known = replica.bindings.find(ID)
        assert known is not None
        replica.bindings.keep(known)
        await stage.settle()
        assert known.home == "one"
        stage.clock.advance(TTL_S / 12)
        replica.bindings.keep(known)
        await stage.settle()
        assert known.home == "two"


async def test_a_conversation_in_use_lives_on_for_all(redis_url: str) -> None:
    async with open_stage(redis_url) as stage, Redis.from_url(redis_url) as store:
        replica, key = stage.replicas[0], f"affinity:{ID}"
        begin(replica, "one")
        await stage.settle()
        assert 0 < await store.pttl(key) <= TTL_S * 1000
        await store.pexpire(key, 60_000)
        known = replica.bindings.find(ID)
        assert known is not None
        replica.bindings.keep(known)  # so soon that it is not worth a command
        await stage.settle()
        assert await store.pttl(key) <= 60_000
        stage.clock.advance(TTL_S / 12)
        replica.bindings.keep(known)
        await stage.settle()
        assert await store.pttl(key) > 60_000


async def test_only_so_many_are_remembered_those_of_the_last_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bindings, "_MAX_REMEMBERED", 3)
    async with open_stage() as stage:
        replica = stage.replicas[0]
        for number in range(3):
            begin(replica, "one", f"{number:032x}")
        begin(replica, "one", f"{0:032x}")  # has another turn
        begin(replica, "one", f"{9:032x}")
        assert [binding.id[-1] for binding in replica.bindings] == ["9", "0", "2"]


async def test_what_cannot_be_written_in_time_is_left_out(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bindings, "_MAX_WRITES", 5)
    async with open_stage(redis_url, replicas=2) as stage:
        writer, reader = stage.replicas
        for number in range(8):
            begin(writer, "one", f"{number:032x}")
        assert writer.bindings.writes == 5
        await stage.settle()
        homes = [await home_of(reader, f"{number:032x}") for number in range(8)]
        assert homes == ["one"] * 5 + [None] * 3
        assert [await home_of(writer, f"{number:032x}") for number in range(8)] == ["one"] * 8


@pytest.mark.parametrize("value", [b"", b"one", b"one soon ", b"\xff\xfe \x00 ", b" 1.0 "])
async def test_a_stored_value_of_another_shape_is_no_binding(redis_url: str, value: bytes) -> None:
    async with open_stage(redis_url) as stage:
        await stage.replicas[0].shared.put(f"affinity:{ID}", value, TTL_S)
        assert await home_of(stage.replicas[0]) is None
        begin(stage.replicas[0], "two")
        await stage.settle()
        assert await home_of(stage.replicas[0]) == "two"
