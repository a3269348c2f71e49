"""An account that refuses the signatures of a history is asked once more without them."""

import json
from dataclasses import replace

import pytest

from dialects import DIALECTS
from dialects.foreign import IN_MESSAGES, IN_RESPONSES
from dialects.signatures import tagged
from models.account import AuthType
from models.errors import ErrorKind, TimedOut, UpstreamError
from models.exchange import ProxyRequest
from models.json_types import JsonObject
from models.profile import Profile
from providers import anthropic, openai
from providers.base import Provider
from tests.builders import make_provider, make_stored
from tests.fakes.transport import Answer, Sent, streamed, whole
from tests.handlers.test_conversations import responses_answer
from tests.services.executor_rig import Rig, Script, make_request, messages_answer

REFUSED = whole(
    b'{"error":{"message":"not verified","type":"invalid_request_error","param":null,'
    b'"code":"invalid_encrypted_content"}}',
    400,
)
OF_MESSAGES = whole(
    b'{"type":"error","error":{"type":"invalid_request_error",'
    b'"message":"messages.1.content.0: Invalid `signature` in `thinking` block"}}',
    400,
)
USER: JsonObject = {"type": "message", "role": "user", "content": "Hi"}
ENCRYPTED: JsonObject = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
SAID: JsonObject = {"type": "message", "role": "assistant", "content": "Hello"}


def provider(dialect: str = "responses") -> Provider:
    made = make_provider(dialect=DIALECTS[dialect])
    real = {"responses": (IN_RESPONSES, openai.profile), "messages": (IN_MESSAGES, claude)}
    foreign, profile = real[dialect]
    return replace(made, offers=(replace(made.main, foreign=foreign, profile=profile),))


def claude(_model: str) -> Profile:
    return anthropic.profile("claude-sonnet-4-5")


def rig_of(script: Script, accounts: int = 2, dialect: str = "responses") -> Rig:
    return Rig(script, accounts, providers=[provider(dialect)])


def asked(
    *, stream: bool = False, items: tuple[JsonObject, ...] = (ENCRYPTED, SAID)
) -> ProxyRequest:
    request = make_request("responses", stream=stream)
    payload: JsonObject = {"model": "gpt-x", "input": [USER, *items, USER], "stream": stream}
    return replace(request, payload=payload, body=json.dumps(payload).encode())


def is_signed(sent: Sent) -> bool:
    return b'"gAAA"' in sent.request.body


def refusing(sent: Sent) -> Answer:
    return REFUSED if is_signed(sent) else responses_answer(sent)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_same_account_answers_what_is_left(stream: bool) -> None:
    rig = rig_of(refusing)
    reply = await rig.open(asked(stream=stream))
    assert rig.transport.keys == ["key-1", "key-1"]
    sent = json.loads(rig.transport.sent[1].request.body)
    assert sent == {"model": "gpt-x", "input": [USER, SAID, USER], "stream": stream}
    assert reply.headers["x-aigateway-dropped"] == "signatures"
    assert (rig.record.attempts, rig.record.mode) == (1, "raw")
    assert rig.told == []
    assert (reply.stream is not None) == stream
    reply.drop()
    assert rig.transport.all_closed


async def test_a_refusal_inside_a_stream_counts_as_well() -> None:
    error = b'{"type":"error","code":"invalid_encrypted_content","message":"m"}'
    frame = b'event: error\ndata: {"type":"error","error":' + error + b"}\n\n"
    rig = rig_of(lambda sent: streamed([frame]) if is_signed(sent) else responses_answer(sent))
    assert b"response.completed" in await rig.ask(asked(stream=True))
    assert rig.transport.keys == ["key-1", "key-1"]


async def test_a_translated_request_is_sent_once_more_too() -> None:
    def script(sent: Sent) -> Answer:
        return OF_MESSAGES if b'"sig"' in sent.request.body else messages_answer(sent)

    own: JsonObject = {"type": "reasoning", "encrypted_content": tagged("anthropic", "sig")}
    request = asked(items=({**own, "summary": [{"type": "summary_text", "text": "hm"}]}, SAID))
    rig = rig_of(script, dialect="messages")
    reply = await rig.open(request)
    assert json.loads(reply.body)["status"] == "completed"
    turns = [json.loads(sent.request.body)["messages"][1] for sent in rig.transport.sent]
    assert [[block["type"] for block in turn["content"]] for turn in turns] == [
        ["thinking", "text"],
        ["text"],
    ]
    assert reply.headers["x-aigateway-dropped"] == "signatures"
    assert (rig.record.attempts, rig.record.mode) == (1, "translated")


async def test_accounts_that_refuse_what_is_left_too_are_asked_once_each() -> None:
    rig = rig_of(lambda _: REFUSED, accounts=3)
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(asked())
    assert rig.transport.keys == ["key-1", "key-1", "key-2", "key-2", "key-3", "key-3"]
    assert (caught.value.kind, caught.value.is_verbatim) == (ErrorKind.SIGNATURE, True)
    assert rig.record.attempts == 3
    assert rig.told == []
    assert rig.transport.all_closed


async def test_where_nothing_can_be_left_out_who_made_it_answers() -> None:
    summary: JsonObject = {"type": "compaction", "encrypted_content": "gAAA"}
    rig = rig_of(lambda sent: responses_answer(sent) if sent.key == "key-2" else REFUSED)
    reply = await rig.open(asked(items=(summary,)))
    assert rig.transport.keys == ["key-1", "key-2"]
    assert rig.transport.sent[0].request.body == rig.transport.sent[1].request.body
    assert "x-aigateway-dropped" not in reply.headers


async def test_the_next_account_gets_the_signatures_again() -> None:
    """They may be its own."""

    def script(sent: Sent) -> Answer:
        if sent.key == "key-2":
            return responses_answer(sent)
        return REFUSED if is_signed(sent) else whole(b"{}", 500)

    rig = rig_of(script)
    reply = await rig.open(asked())
    assert rig.transport.keys == ["key-1", "key-1", "key-2"]
    assert is_signed(rig.transport.sent[2])
    assert "x-aigateway-dropped" not in reply.headers


async def test_other_bad_requests_are_sent_once() -> None:
    rig = rig_of(lambda _: whole(b'{"error":{"message":"m","type":"invalid_request_error"}}', 400))
    with pytest.raises(UpstreamError):
        await rig.ask(asked())
    assert rig.transport.keys == ["key-1"]


async def test_both_refreshing_and_leaving_out_may_be_needed() -> None:
    def script(sent: Sent) -> Answer:
        return whole(b"{}", 401) if sent.key == "key-1" else refusing(sent)

    rig = Rig(script, [make_stored(1, auth_type=AuthType.OAUTH)], providers=[provider()])
    rig.tokens.fresh = ["new", "new"]
    await rig.ask(asked())
    assert rig.transport.keys == ["key-1", "new", "key-1", "new"]
    assert rig.record.attempts == 1


async def test_the_deadline_holds_for_both() -> None:
    rig = rig_of(refusing, accounts=1)

    def slow(sent: Sent) -> Answer | UpstreamError:
        if sent.first_byte_timeout_s < 300:
            return TimedOut("late")
        rig.clock.advance(550)
        return refusing(sent)

    rig.transport.script = slow
    with pytest.raises(TimedOut):
        await rig.ask(asked())
    assert [sent.first_byte_timeout_s for sent in rig.transport.sent] == [300, 50]
