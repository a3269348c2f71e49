"""Requests that go on from a stored answer, and answers that are stored on their way."""

import json
from dataclasses import replace
from typing import Any

import pytest

from auth.vault import Vault
from models.errors import BadRequest, ErrorKind, NotFound, PayloadTooLarge
from models.exchange import ProxyRequest
from models.json_types import JsonObject
from models.ports import Sink
from repositories.shared_memory import MemoryState
from services.conversations import Conversations
from services.reply import Reply, Stream
from services.stored_responses import Keeping, StoredResponse, StoredResponses
from tests.fakes.clock import FakeClock
from tests.fakes.sink import FakeSink, poured, pouring, settled
from tests.services.executor_rig import make_request

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "wx", "arguments": "{}"}
SIGNED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
UNSIGNED = {"id": "rs_2", "type": "reasoning", "summary": []}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
FIRST: JsonObject = {"role": "user", "content": "Weather?"}


def without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "id"}


def response(*output: dict[str, Any], **fields: object) -> dict[str, Any]:
    told = {"id": "resp_1", "object": "response", "status": "completed", "output": list(output)}
    return {**told, "previous_response_id": None, **fields}


def asked(**fields: Any) -> ProxyRequest:  # noqa: ANN401 - JSON
    request = make_request("responses")
    payload = {"model": "gpt-x", **fields}
    return replace(request, payload=payload, body=json.dumps(payload).encode(), key_id="key-1")


def streaming(*chunks: bytes) -> Stream:
    """An answer that comes in these chunks."""

    async def stream(sink: Sink) -> None:
        for chunk in chunks:
            if not sink.write(chunk):
                await sink.drain()

    return stream


class House:
    """Conversations over shared state of this process."""

    def __init__(self, keeping: Keeping | None = None) -> None:
        self.shared = MemoryState(FakeClock())
        self.stored = StoredResponses(self.shared, Vault.of(b"k" * 32), keeping or Keeping())
        self.conversations = Conversations(self.stored)

    async def has(self, *output: dict[str, Any], key_id: str = "key-1") -> None:
        await self.stored.put(key_id, StoredResponse([FIRST], response(*output)))

    async def answered(self, request: ProxyRequest, body: bytes) -> bytes:
        recalled = await self.conversations.recall(request)
        return (await self.conversations.keep(request, recalled, Reply(body))).body

    async def streamed(self, request: ProxyRequest, *chunks: bytes) -> list[bytes]:
        sink = FakeSink()
        recalled = await self.conversations.recall(request)
        source = Reply(stream=streaming(*chunks))
        await poured(await self.conversations.keep(request, recalled, source), sink)
        return sink.writes


@pytest.fixture
def house() -> House:
    return House()


def event(name: str, payload: dict[str, Any], **fields: object) -> bytes:
    data = json.dumps({"type": name, **fields, "response": payload})
    return f"event: {name}\ndata: {data}\n\n".encode()


async def test_what_led_there_comes_first_then_the_answer_then_the_new_input(house: House) -> None:
    await house.has(SIGNED, UNSIGNED, CALL)
    result = {"type": "function_call_output", "call_id": "call_1", "output": "24C"}
    request = asked(previous_response_id="resp_1", input=[result], instructions="Be brief.")
    recalled = await house.conversations.recall(request)
    assert (
        json.loads(recalled.body)
        == recalled.payload
        == {
            "model": "gpt-x",
            "instructions": "Be brief.",
            "input": [FIRST, without_id(SIGNED), without_id(CALL), result],
        }
    )


async def test_text_becomes_a_message(house: House) -> None:
    await house.has(MESSAGE, SEARCH)
    recalled = await house.conversations.recall(asked(previous_response_id="resp_1", input="And?"))
    assert recalled.payload["input"] == [
        FIRST,
        without_id(MESSAGE),
        SEARCH,
        {"type": "message", "role": "user", "content": "And?"},
    ]


async def test_a_request_that_refers_to_nothing_is_the_same_object(house: House) -> None:
    for request in (asked(input="Hi"), asked(input=[FIRST]), asked(), asked(input=5)):
        assert await house.conversations.recall(request) is request


async def test_single_items_may_be_referred_to(house: House) -> None:
    await house.has(UNSIGNED, CALL)
    references = [{"type": "item_reference", "id": "rs_2"}, {"id": "fc_1"}]
    recalled = await house.conversations.recall(asked(input=[FIRST, *references]))
    assert recalled.payload["input"] == [FIRST, without_id(CALL)]


@pytest.mark.parametrize(
    "type_",
    [{"type": "item_reference"}, {"type": None}, {}, {"type": "item_reference", "status": None}],
    ids=str,
)
async def test_a_provider_is_never_asked_for_an_item_that_the_key_did_not_get(
    house: House, type_: dict[str, Any]
) -> None:
    """It would look among all that its account was ever told, by whomever."""
    await house.has(CALL, key_id="key-2")
    for item_id in ("fc_1", "fc_unknown", "", "a:b", "../fc_1", "é", "x" * 9_000):
        with pytest.raises(NotFound) as caught:
            await house.conversations.recall(asked(input=[FIRST, {**type_, "id": item_id}]))
        assert (caught.value.status, caught.value.path) == (404, "input")
        assert len(caught.value.message) < 200


async def test_an_item_is_written_out_once(house: House) -> None:
    """A few bytes name it, so that copies would fill any memory."""
    await house.has(MESSAGE)
    with pytest.raises(BadRequest, match="twice"):
        await house.conversations.recall(asked(input=[{"id": "msg_1"}, {"id": "msg_1"}]))
    with pytest.raises(BadRequest, match="over 128"):
        await house.conversations.recall(asked(input=[{"id": f"m{n}"} for n in range(129)]))


async def test_items_are_no_larger_together_than_an_answer_may_be() -> None:
    house = House(Keeping(max_bytes=10_000))
    large = {**MESSAGE, "content": [{"type": "output_text", "text": "x" * 6_000}]}
    for name in ("1", "2"):
        told = response({**large, "id": f"msg_{name}"}, id=f"resp_{name}")
        await house.stored.put("key-1", StoredResponse([FIRST], told))
    await house.conversations.recall(asked(input=[{"id": "msg_1"}]))
    with pytest.raises(PayloadTooLarge):
        await house.conversations.recall(asked(input=[{"id": "msg_1"}, {"id": "msg_2"}]))


@pytest.mark.parametrize(
    ("previous", "kind"),
    [
        ("resp_2", ErrorKind.RESPONSE_NOT_FOUND),
        ("", ErrorKind.RESPONSE_NOT_FOUND),
        ("x" * 9_000, ErrorKind.RESPONSE_NOT_FOUND),
        (5, ErrorKind.INVALID_REQUEST),
        ({}, ErrorKind.INVALID_REQUEST),
    ],
)
async def test_what_is_not_known_is_refused_by_name(
    house: House, previous: object, kind: ErrorKind
) -> None:
    await house.has(MESSAGE, key_id="key-2")
    with pytest.raises(BadRequest) as caught:
        await house.conversations.recall(asked(previous_response_id=previous, input="And?"))
    error = caught.value
    assert (error.kind, error.status, error.path) == (kind, 400, "previous_response_id")
    assert len(error.message) < 250


async def test_another_keys_answer_is_not_known(house: House) -> None:
    await house.has(MESSAGE, key_id="key-2")
    with pytest.raises(BadRequest):
        await house.conversations.recall(asked(previous_response_id="resp_1"))


# --- keeping ----------------------------------------------------------------------------------


async def test_a_whole_answer_is_kept_and_given_as_it_is(house: House) -> None:
    body = json.dumps(response(MESSAGE)).encode()
    assert await house.answered(asked(input=[FIRST]), body) is body
    kept = await house.stored.get("key-1", "resp_1")
    assert (list(kept.input), kept.response) == ([FIRST], response(MESSAGE))


async def test_a_streamed_answer_is_kept_before_its_last_event_is_given(house: House) -> None:
    created = event("response.created", response(status="in_progress"))
    delta = b'data: {"type":"response.output_text.delta","delta":"response.completed"}\n\n'
    last = event("response.completed", response(MESSAGE))

    kept: list[tuple[bytes, bool]] = []

    class Watching(FakeSink):
        def write(self, data: bytes) -> bool:
            kept.append((data, bool(house.shared._entries)))
            return super().write(data)

    request = asked(input=[FIRST], stream=True)
    source = Reply(stream=streaming(created, delta, last))
    await poured(await house.conversations.keep(request, request, source), Watching())
    assert kept == [(created, False), (delta, False), (last, True)]
    assert (await house.stored.get("key-1", "resp_1")).output == [MESSAGE]


async def test_each_event_is_given_before_the_next_is_asked_for(house: House) -> None:
    frames = [b"data: %d\n\n" % number for number in range(3)]
    asked_for: list[bytes] = []

    async def source(sink: Sink) -> None:
        for frame in frames:
            asked_for.append(frame)
            if not sink.write(frame):
                await sink.drain()

    request, sink = asked(input=[FIRST], stream=True), FakeSink(room=1)
    reply = await house.conversations.keep(request, request, Reply(stream=source))
    async with pouring(reply, sink) as task:
        for count in range(1, 4):
            assert await sink.next() == frames[count - 1]
            await settled()
            assert asked_for == frames[:count]
        sink.open()
        await task


async def test_what_comes_while_an_answer_is_being_kept_stays_behind_it(house: House) -> None:
    last = event("response.completed", response(MESSAGE))
    after = b": bye\n\n"

    async def source(sink: Sink) -> None:
        assert not sink.write(last)
        assert not sink.write(after)
        await sink.drain()

    request, sink = asked(input=[FIRST], stream=True), FakeSink()
    await poured(await house.conversations.keep(request, request, Reply(stream=source)), sink)
    assert sink.writes == [last, after]


async def test_a_last_event_without_its_blank_line_counts(house: House) -> None:
    last = event("response.incomplete", response(MESSAGE, status="incomplete")).rstrip()
    assert await house.streamed(asked(), b": ping\n\n", last) == [b": ping\n\n", last]
    assert (await house.stored.get("key-1", "resp_1")).response["status"] == "incomplete"


@pytest.mark.parametrize("odd", [[], {}, [None], 5, None], ids=str)
async def test_whatever_type_a_provider_gives_it_is_an_answer(house: House, odd: Any) -> None:  # noqa: ANN401 - JSON
    body = json.dumps(response({**MESSAGE, "type": odd}, status=odd)).encode()
    assert await house.answered(asked(), body) is body
    await house.has({**MESSAGE, "type": odd})
    recalled = await house.conversations.recall(asked(previous_response_id="resp_1"))
    assert recalled.payload["input"] == [FIRST, {**MESSAGE, "type": odd}]


async def test_a_conversation_grows(house: House) -> None:
    await house.answered(asked(input="Hi"), json.dumps(response(MESSAGE)).encode())
    second = json.dumps(response(CALL, id="resp_2")).encode()
    told = await house.answered(asked(previous_response_id="resp_1", input=[FIRST]), second)
    assert json.loads(told)["previous_response_id"] == "resp_1"
    kept = await house.stored.get("key-1", "resp_2")
    hi = {"type": "message", "role": "user", "content": "Hi"}
    assert list(kept.input) == [hi, without_id(MESSAGE), FIRST]
    assert kept.response["previous_response_id"] == "resp_1"


async def test_every_event_of_the_whole_answer_names_the_one_before(house: House) -> None:
    await house.has(MESSAGE)
    delta = b'event: x\ndata: {"previous_response_id":null}\n\n'
    created = event("response.created", response(id="resp_2", status="in_progress"))
    last = event("response.completed", response(MESSAGE, id="resp_2"), sequence_number=9)
    request = asked(previous_response_id="resp_1", input="And?", stream=True)
    told = await house.streamed(request, created + delta, delta, last)
    assert told[1] == delta
    assert told[0].endswith(delta)
    for frame in (told[0].removesuffix(delta), told[2]):
        name, _, data = frame.decode().partition("\ndata: ")
        payload = json.loads(data)
        assert name == f"event: {payload['type']}"
        assert payload["response"]["previous_response_id"] == "resp_1"
    assert (await house.stored.get("key-1", "resp_2")).output == [MESSAGE]


@pytest.mark.parametrize(
    "payload",
    [
        response(MESSAGE, status="failed"),
        response(status="in_progress"),
        {"object": "response.input_tokens", "input_tokens": 5},
        {"error": {"message": "no"}},
    ],
    ids=["failed", "in progress", "a count", "an error"],
)
async def test_what_is_no_complete_answer_is_not_kept(
    house: House, payload: dict[str, Any]
) -> None:
    body = json.dumps(payload).encode()
    assert await house.answered(asked(), body) == body
    await house.streamed(asked(), event("response.failed", payload))
    assert house.shared._entries == {}


async def test_garbage_passes_as_it_is(house: House) -> None:
    for garbage in (b"", b"\xff", b"[]", b"response.completed"):
        assert await house.answered(asked(), garbage) == garbage
        assert await house.streamed(asked(), garbage) == [garbage]


@pytest.mark.parametrize("is_on", [True, False])
async def test_who_wants_nothing_kept_pays_for_nothing(is_on: bool) -> None:
    house = House(Keeping(is_on=is_on))
    request = asked(input="Hi", **({"store": False} if is_on else {}))
    reply = Reply(json.dumps(response(MESSAGE)).encode())
    stream = streaming(b"")
    streamed = Reply(stream=stream)
    assert await house.conversations.keep(request, request, reply) is reply
    kept = await house.conversations.keep(request, request, streamed)
    assert kept.stream is stream
    assert house.shared._entries == {}


async def test_an_answer_may_go_on_without_being_kept(house: House) -> None:
    await house.has(MESSAGE)
    request = asked(previous_response_id="resp_1", input="And?", store=False)
    told = await house.answered(request, json.dumps(response(CALL, id="resp_2")).encode())
    assert json.loads(told)["previous_response_id"] == "resp_1"
    assert not any("resp_2" in key for key in house.shared._entries)


async def test_an_answer_however_deeply_nested_is_given(house: House) -> None:
    await house.has(MESSAGE)
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    body = b'{"object":"response","id":"resp_2","status":"completed","output":[],"x":' + deep + b"}"
    request = asked(previous_response_id="resp_1", input="And?")
    assert json.loads(await house.answered(request, body))["id"] == "resp_2"
    assert len(await house.streamed(request, b'data: {"response":' + body + b"}\n\n")) == 1
