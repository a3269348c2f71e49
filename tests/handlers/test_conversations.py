"""Conversations of the Responses format that go on by an id, over every kind of provider."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pytest

from dialects import DIALECTS
from services.stored_responses import Keeping
from tests.builders import make_provider
from tests.fakes.formats import responses
from tests.fakes.scenarios import Call, Scenario, compact
from tests.fakes.transport import Answer, Sent, streamed, whole
from tests.handlers.model_api import ADMIN_KEY, KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer, messages_answer

pytestmark = pytest.mark.usefixtures("way")

SCENARIOS = {
    "text": Scenario(),
    "call": Scenario(text=(), calls=(Call("call_1", "wx", {"city": "Roma"}),), stop="tools"),
}
WX = {"type": "function", "name": "wx", "parameters": {"type": "object", "properties": {}}}


_ID = b"resp_fake01"


def responses_answer(request: Sent, scenario: Scenario | None = None) -> Answer:
    """What a healthy Responses provider answers; every answer has an id of its own."""
    payload = json.loads(request.request.body)
    scenario = scenario or Scenario()
    mine = b"resp_%d" % len(request.request.body)
    if payload.get("stream"):
        events = responses.response_stream(scenario, payload)
        return streamed([event.replace(_ID, mine) for event in events])
    body = compact(responses.response_json(scenario, payload)).encode()
    return whole(body.replace(_ID, mine))


PROVIDERS: dict[str, Callable[..., Answer]] = {
    "responses": responses_answer,
    "chat": chat_answer,
    "messages": messages_answer,
}


def rig_of(dialect: str, scenario: str = "text") -> Rig:
    answer = PROVIDERS[dialect]
    return Rig(
        lambda sent: answer(sent, SCENARIOS[scenario]),
        providers=[make_provider(dialect=DIALECTS[dialect])],
    )


def client_of(served: Served, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=served.url + "/v1", api_key=key, max_retries=0)


async def asked(client: openai.AsyncOpenAI, *, stream: bool, **fields: Any) -> Any:  # noqa: ANN401 - the SDK's own types
    """Return the whole answer, however it came."""
    if not stream:
        return await client.responses.create(model="gpt-x", **fields)
    async with client.responses.stream(model="gpt-x", **fields) as events:
        async for _ in events:
            pass
        return await events.get_final_response()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_second_turn_brings_the_first_one_along(provider: str, stream: bool) -> None:
    rig = rig_of(provider)
    async with serving(rig) as served:
        client = client_of(served)
        first = await asked(client, stream=stream, input="Hello")
        second = await asked(client, stream=stream, input="And now?", previous_response_id=first.id)
        third = await asked(client, stream=stream, input="So?", previous_response_id=second.id)
        assert [one.output_text for one in (first, second, third)] == ["Hello wörld ✓"] * 3
        assert second.previous_response_id == first.id
        assert third.previous_response_id == second.id
        assert len({first.id, second.id, third.id}) == 3
        items = await client.responses.input_items.list(third.id, order="asc")
        assert len(items.data) == 5
        await client.close()
    sent = rig.transport.sent[-1].request.body.decode()
    assert "previous_response_id" not in json.loads(sent)
    places = [sent.index(text) for text in ('Hello"', "wörld", "And now?", "So?")]
    assert places == sorted(places)
    assert sent.count("wörld") == 2


async def test_a_provider_that_never_streams_still_answers_a_stream_and_is_kept() -> None:
    def never_streams(sent: Sent) -> Answer:
        payload = json.loads(sent.request.body) | {"stream": False}
        return whole(compact(responses.response_json(Scenario(), payload)).encode())

    async with serving(
        Rig(never_streams, providers=[make_provider(dialect=DIALECTS["responses"])])
    ) as served:
        client = client_of(served)
        first = await asked(client, stream=True, input="Hello")
        assert first.output_text == "Hello wörld ✓"
        second = await asked(client, stream=True, input="And?", previous_response_id=first.id)
        assert second.previous_response_id == first.id
        await client.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_result_of_a_tool_finds_its_call(provider: str, stream: bool) -> None:
    rig = rig_of(provider, "call")
    async with serving(rig) as served:
        client = client_of(served)
        first = await asked(client, stream=stream, input="Weather?", tools=[WX])
        (call,) = [item for item in first.output if item.type == "function_call"]
        rig.transport.script = lambda sent: PROVIDERS[provider](sent, Scenario())
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "24C"}
        second = await asked(
            client, stream=stream, input=[result], tools=[WX], previous_response_id=first.id
        )
        assert second.output_text == "Hello wörld ✓"
        # The same, as programs do that name the items instead of the answer.
        reference = {"type": "item_reference", "id": call.id}
        again = await asked(client, stream=stream, input=[reference, result], tools=[WX])
        assert again.output_text == "Hello wörld ✓"
        await client.close()
    for sent in rig.transport.sent[1:]:
        text = sent.request.body.decode()
        assert text.count(call.call_id) == 2
        assert call.id not in text
        assert text.index("Roma") < text.index("24C")


async def test_what_another_key_left_or_nobody_is_refused_as_openai_does() -> None:
    rig = rig_of("chat")
    async with serving(rig) as served:
        mine, theirs = client_of(served), client_of(served, ADMIN_KEY)
        first = await mine.responses.create(model="gpt-x", input="Hello")
        for client, response_id in ((theirs, first.id), (mine, "resp_never")):
            with pytest.raises(openai.BadRequestError) as caught:
                await client.responses.create(
                    model="gpt-x", input="And?", previous_response_id=response_id
                )
            assert caught.value.code == "previous_response_not_found"
            assert caught.value.param == "previous_response_id"
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(response_id if client is theirs else "resp_never")
            await client.close()
    assert len(rig.transport.sent) == 1
    assert [record.status for record in served.records] == [200, 400, 400]


async def test_the_sdk_reads_and_deletes_what_was_stored() -> None:
    async with serving(rig_of("messages")) as served:
        client = client_of(served)
        first = await client.responses.create(model="gpt-x", input="Hello")
        assert await client.responses.retrieve(first.id) == first
        with pytest.raises(openai.BadRequestError):
            await client.responses.cancel(first.id)
        await client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(first.id)
        await client.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nothing_is_kept_where_the_client_or_the_operator_says_so(
    provider: str, stream: bool
) -> None:
    for keeping, fields in ((Keeping(), {"store": False}), (Keeping(is_on=False), {})):
        async with serving(rig_of(provider), keeping=keeping) as served:
            client = client_of(served)
            first = await asked(client, stream=stream, input="Hello", **fields)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(first.id)
            with pytest.raises(openai.BadRequestError):
                await asked(
                    client, stream=stream, input="And?", previous_response_id=first.id, **fields
                )
            await client.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_that_breaks_off_is_not_kept(stream: bool) -> None:
    rig = rig_of("chat")

    def broken(sent: Sent) -> Answer:
        good = chat_answer(sent)
        return replace(good, pieces=good.pieces[:3] if stream else [b"{"])

    rig.transport.script = broken
    async with serving(rig) as served:
        response = await served.call(
            "POST", "/v1/responses", {"model": "gpt-x", "input": "Hi", "stream": stream}
        )
        assert response.status == (200 if stream else 502)
        assert served.stored._shared._entries == {}  # type: ignore[attr-defined] # state in memory
