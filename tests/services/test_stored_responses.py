"""What is kept of answers, for whom, for how long, and what happens when it cannot be."""

import logging
import tracemalloc

import pytest

from auth.vault import Vault
from models.errors import NotFound, StorageUnavailable
from models.json_types import JsonObject
from repositories.shared_memory import MemoryState
from services.stored_responses import Keeping, StoredResponse, StoredResponses
from tests.fakes.clock import FakeClock

SECRET = "what the user said to the model"


def answer(response_id: str = "resp_1", text: str = SECRET) -> StoredResponse:
    output: JsonObject = {"id": "msg_1", "type": "message", "content": text}
    return StoredResponse(
        [{"role": "user", "content": text}],
        {"id": response_id, "object": "response", "status": "completed", "output": [output]},
    )


class Away(MemoryState):
    """Shared state that is away."""

    @property
    def is_available(self) -> bool:
        return False

    async def get(self, key: str) -> bytes | None:
        return None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shared(clock: FakeClock) -> MemoryState:
    return MemoryState(clock)


@pytest.fixture
def stored(shared: MemoryState) -> StoredResponses:
    return StoredResponses(shared, Vault.of(b"k" * 32), Keeping(ttl_s=100, max_bytes=50_000))


@pytest.mark.parametrize("size", [1, 40_000], ids=["small", "packed in a thread"])
async def test_an_answer_comes_back_as_it_was(stored: StoredResponses, size: int) -> None:
    kept = answer(text="ü" * (size // 4))
    await stored.put("key-1", kept)
    found = await stored.get("key-1", "resp_1")
    assert (list(found.input), found.response) == (list(kept.input), kept.response)


async def test_integers_of_any_size_come_back(stored: StoredResponses) -> None:
    kept = StoredResponse([{"n": 2**70}], {"id": "resp_1", "metadata": {"n": -(2**80)}})
    await stored.put("key-1", kept)
    found = await stored.get("key-1", "resp_1")
    assert (list(found.input), found.response) == (kept.input, kept.response)


async def test_no_key_sees_what_another_left(stored: StoredResponses) -> None:
    await stored.put("key-1", answer())
    for key_id, response_id in (
        ("key-2", "resp_1"),
        ("key", "1:resp_1"),
        ("", "key-1:resp_1"),
        ("key-2", "../key-1:resp_1"),
        ("key-1", "item:msg_1"),
        ("key-1", "RESP_1"),
        ("key-1", ""),
    ):
        with pytest.raises(NotFound):
            await stored.get(key_id, response_id)
        with pytest.raises(NotFound):
            await stored.delete(key_id, response_id)
    assert await stored.items("key-2", ["msg_1"]) == {}
    await stored.put("key-2", answer(text="of the other"))
    for key_id, text in (("key-1", SECRET), ("key-2", "of the other")):
        assert list((await stored.get(key_id, "resp_1")).input) == list(answer(text=text).input)
        assert (await stored.items(key_id, ["msg_1"]))["msg_1"]["content"] == text


async def test_what_lies_in_shared_state_cannot_be_read_there_nor_moved(
    stored: StoredResponses, shared: MemoryState, caplog: pytest.LogCaptureFixture
) -> None:
    await stored.put("key-1", answer())
    entries = {key: entry.value for key, entry in shared._entries.items()}
    assert len(entries) == 2
    assert not any(SECRET.encode() in value for value in entries.values())
    await shared.put("responses:key-2:resp_1", entries["responses:key-1:resp_1"], 100)
    with pytest.raises(NotFound):
        await stored.get("key-2", "resp_1")
    other = StoredResponses(shared, Vault.of(b"o" * 32), Keeping())
    with pytest.raises(NotFound):
        await other.get("key-1", "resp_1")
    assert "cannot be opened" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"v1.x.y", b"{}"])
async def test_garbage_in_shared_state_is_no_answer(
    stored: StoredResponses, shared: MemoryState, garbage: bytes
) -> None:
    await shared.put("responses:key-1:resp_1", garbage, 100)
    with pytest.raises(NotFound):
        await stored.get("key-1", "resp_1")


async def test_an_answer_ends_with_its_time(stored: StoredResponses, clock: FakeClock) -> None:
    await stored.put("key-1", answer())
    clock.advance(99)
    assert await stored.items("key-1", ["msg_1"]) != {}
    clock.advance(1)
    assert await stored.items("key-1", ["msg_1"]) == {}
    with pytest.raises(NotFound):
        await stored.get("key-1", "resp_1")


async def test_a_deleted_answer_is_gone_with_its_items(
    stored: StoredResponses, shared: MemoryState
) -> None:
    await stored.put("key-1", answer())
    await stored.delete("key-1", "resp_1")
    assert shared._entries == {}
    with pytest.raises(NotFound):
        await stored.delete("key-1", "resp_1")


async def test_what_is_too_large_is_not_kept_and_that_is_said_once(
    stored: StoredResponses, shared: MemoryState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(3):
        await stored.put("key-1", answer(f"resp_{number}", text="x" * 60_000))
    assert shared._entries == {}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("response_id", [None, 5, "", "a b", "a:b", "x" * 129, "é"])
async def test_an_answer_without_a_usable_id_is_not_kept(
    stored: StoredResponses, shared: MemoryState, response_id: object
) -> None:
    await stored.put("key-1", StoredResponse([], {"id": response_id, "output": [5]}))  # type: ignore[dict-item] # as providers may
    assert shared._entries == {}


async def test_items_are_found_by_their_own_ids(stored: StoredResponses) -> None:
    await stored.put("key-1", answer())
    found = await stored.items("key-1", ["msg_2", "msg_1", "a:b", ""])
    assert list(found) == ["msg_1"]
    assert found["msg_1"]["content"] == SECRET


async def test_an_item_whose_answer_is_gone_is_not_known(
    stored: StoredResponses, shared: MemoryState
) -> None:
    await stored.put("key-1", answer())
    await shared.delete("responses:key-1:resp_1")
    assert await stored.items("key-1", ["msg_1"]) == {}


async def test_without_shared_state_nobody_pretends_to_know() -> None:
    away = StoredResponses(Away(), Vault.of(b"k" * 32), Keeping())
    await away.put("key-1", answer())
    for call in (away.get("key-1", "resp_1"), away.delete("key-1", "resp_1")):
        with pytest.raises(StorageUnavailable) as caught:
            await call
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)


async def test_memory_keeps_what_was_written_last(clock: FakeClock) -> None:
    shared = MemoryState(clock, max_bytes=4_000)
    for number in range(20):
        await shared.put(f"k{number:02}", bytes(97), 60)
    assert [number for number in range(20) if await shared.get(f"k{number:02}")] == [*range(10, 20)]
    await shared.put("k10", bytes(97), 60)  # written again: now the youngest
    await shared.put("k20", bytes(97), 60)
    assert await shared.get("k10") is not None
    assert await shared.get("k11") is None
    await shared.put("huge", bytes(4_000), 60)
    assert await shared.get("huge") is None
    await shared.put("small", b"1", 60)
    assert await shared.get("small") == b"1"


async def test_many_small_values_fill_the_memory_as_well(clock: FakeClock) -> None:
    shared = MemoryState(clock, max_bytes=100_000)
    tracemalloc.start()
    try:
        for number in range(5_000):
            await shared.put(f"responses:{number}", b"x", 60)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 200_000


async def test_what_ended_makes_room(clock: FakeClock) -> None:
    shared = MemoryState(clock, max_bytes=1_700)
    await shared.put("short", bytes(500), 1)
    clock.advance(100)
    for key in ("a", "b"):
        await shared.put(key, bytes(499), 60)
    assert await shared.get("a") is not None
    assert await shared.get("b") is not None
