"""What becomes of a good answer: when a stream may begin, how it goes on, how it ends."""

import asyncio
import json
from dataclasses import replace

import pytest

from dialects import DIALECTS
from models.account import Credentials
from models.errors import ErrorKind, StreamBroken, TimedOut, UpstreamError
from models.rest import EVERY_MODEL
from providers import glm
from services.answers import Limits
from tests.builders import make_provider, make_stored
from tests.fakes.formats import chat, messages
from tests.fakes.scenarios import Scenario, compact
from tests.fakes.sink import AwaitedSink, FakeSink, LeftSink, poured, pouring, settled
from tests.fakes.transport import Answer, Piece, Sent, Silence, streamed, whole
from tests.services.executor_rig import Rig, chat_answer, make_request, messages_answer

ONE = f"{1:032x}"
CHAT = list(chat.chat_stream(Scenario(), include_usage=True))
MESSAGES = list(messages.messages_stream(Scenario()))
FRAMES = {"chat": CHAT, "messages": MESSAGES}
OVERLOADED = {
    "chat": b'data: {"error":{"message":"busy","type":"server_error","code":"1305"}}\n\n',
    "messages": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n',
}
LIMITS = Limits(ping_after_s=15.0, idle_timeout_s=40.0)


def speaking(dialect: str, *answers: list[Piece], limits: Limits = LIMITS) -> Rig:
    """Accounts of one provider, each answering with the next of `answers`."""
    left = [streamed(pieces) for pieces in answers]
    provider = make_provider(dialect=DIALECTS[dialect])
    return Rig(lambda _: left.pop(0), max(2, len(answers)), providers=[provider], limits=limits)


def body_of(dialect: str) -> bytes:
    return b"".join(FRAMES[dialect])


# --- before the first content -----------------------------------------------------------------


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
@pytest.mark.parametrize(
    "end",
    [
        pytest.param("error", id="an error"),
        pytest.param("cut", id="a cut connection"),
        pytest.param("end", id="its end"),
    ],
)
async def test_a_stream_that_fails_before_content_is_served_by_another(
    client: str, upstream: str, end: str
) -> None:
    first = FRAMES[upstream][0]
    opening: dict[str, list[Piece]] = {
        "error": [first, OVERLOADED[upstream]],
        "cut": [first, StreamBroken("cut")],
        "end": [first],
    }
    rig = speaking(upstream, opening[end], [*FRAMES[upstream]])
    sent = await rig.ask(make_request(client, stream=True))
    assert rig.transport.keys == ["key-1", "key-2"]
    assert "wörld".encode() in sent
    assert b"error" not in sent
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


async def test_what_comes_before_content_is_held_and_not_lost() -> None:
    rig = speaking("messages", [*MESSAGES])
    reply, sink = await rig.open(make_request("messages", stream=True)), FakeSink(room=1)
    async with pouring(reply, sink):
        held = await sink.next()
        assert held == b"".join(MESSAGES[: held.count(b"\n\n")])
        assert b"content_block" in held
    assert rig.transport.all_closed


async def test_a_slow_start_is_let_through_after_ten_seconds() -> None:
    rig = speaking("messages", [MESSAGES[0], Silence(60.0), *MESSAGES[1:]])
    began = rig.clock.now()
    reply = await rig.open(make_request("messages", stream=True))
    assert rig.clock.now() - began == 10.0
    sink = FakeSink(room=1)
    async with pouring(reply, sink):
        assert await sink.next() == MESSAGES[0]


async def test_a_start_that_trickles_without_content_is_let_through_in_time() -> None:
    ping: list[Piece] = [b"event: ping\ndata: {}\n\n", Silence(0.9)]
    rig = speaking("messages", [*(ping * 100), *MESSAGES])
    began = rig.clock.now()
    reply = await rig.open(make_request("messages", stream=True))
    assert 9.0 <= rig.clock.now() - began <= 10.0
    reply.drop()


async def test_a_long_opening_without_content_is_let_through() -> None:
    comment = b": " + b"x" * 1000 + b"\n\n"
    rig = speaking("messages", [*([comment] * 100), *MESSAGES])
    reply = await rig.open(make_request("messages", stream=True))
    sink = FakeSink(room=1)
    async with pouring(reply, sink):
        assert 65_536 <= len(await sink.next()) <= 67_000


async def test_a_stream_that_nobody_begins_to_read_is_given_back() -> None:
    rig = speaking("chat", [*CHAT])
    reply = await rig.open(make_request(stream=True))
    assert rig.executor.is_busy
    reply.drop()
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


async def test_a_stream_is_settled_once_however_often_it_is_closed() -> None:
    rig = speaking("chat", [*CHAT[:4], StreamBroken("cut")])
    reply = await rig.open(make_request(stream=True))
    for _ in range(3):
        await poured(reply)
        reply.drop()
    assert rig.rests == {}


async def test_leaving_before_the_first_content_closes_the_answer() -> None:
    rig = speaking("chat", [*CHAT])
    waiting = asyncio.Event()

    async def never(_wait_s: float) -> bytes | None:
        waiting.set()
        await asyncio.Event().wait()
        return None

    rig.transport.patch = lambda response: setattr(response, "read_some", never)
    task = asyncio.create_task(rig.ask(make_request(stream=True)))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


# --- inside -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_silence_is_filled_with_pings_between_frames(client: str, upstream: str) -> None:
    frames = FRAMES[upstream]
    middle = frames[3]
    rig = speaking(
        upstream,
        [*frames[:3], middle[:20], Silence(35.0), middle[20:], Silence(14.0), *frames[4:]],
    )
    sent = await rig.ask(make_request(client, stream=True, stream_options={"include_usage": True}))
    ping = DIALECTS[client].ping
    assert sent.count(ping) == 2
    if client == upstream:
        assert sent.replace(ping, b"") == body_of(upstream)
    assert rig.record.error_code is None


@pytest.mark.parametrize(
    ("client", "upstream", "busy"),
    [
        pytest.param(
            "messages",
            "chat",
            b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n',
            id="thinking that nobody asked for",
        ),
        pytest.param("messages", "chat", b": working\n\n", id="comments"),
        pytest.param("chat", "messages", b'event: ping\ndata: {"type":"ping"}\n\n', id="pings"),
    ],
)
async def test_a_provider_busy_with_what_the_client_does_not_see_keeps_it_waiting(
    client: str, upstream: str, busy: bytes
) -> None:
    frames = FRAMES[upstream]
    unseen: list[Piece] = [busy, Silence(4.0)]
    rig = speaking(upstream, [*frames[:3], *(unseen * 20), *frames[3:]])
    sent = await rig.ask(make_request(client, stream=True))
    assert sent.count(DIALECTS[client].ping) == 4
    assert rig.record.error_code is None


@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_a_provider_that_falls_silent_is_given_up(dialect: str) -> None:
    frames = FRAMES[dialect]
    rig = speaking(dialect, [*frames[:4], Silence(1000.0), *frames[4:]])
    began = rig.clock.now()
    sent = await rig.ask(make_request(dialect, stream=True))
    assert rig.clock.now() - began == LIMITS.idle_timeout_s
    assert sent.count(DIALECTS[dialect].ping) == 2
    assert b"fell silent" in sent.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert rig.record.error_code == "timeout"
    assert rig.transport.keys == ["key-1"]
    assert rig.transport.all_closed


@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_each_silence_may_last_as_long_as_any(dialect: str) -> None:
    frames = FRAMES[dialect]
    silences: list[Piece] = [Silence(39.0), frames[3], Silence(39.0), frames[4], Silence(14.0)]
    rig = speaking(dialect, [*frames[:3], *silences, *frames[5:]])
    sent = await rig.ask(make_request(dialect, stream=True, stream_options={"include_usage": True}))
    ping = DIALECTS[dialect].ping
    assert sent.count(ping) == 4
    assert sent.replace(ping, b"") == body_of(dialect)


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param("error", {"chat": "upstream_error", "messages": "overloaded"}, id="an error"),
        pytest.param("cut", "upstream_truncated", id="a cut connection"),
        pytest.param("end", "upstream_truncated", id="an early end"),
    ],
)
async def test_what_breaks_after_content_is_told_and_never_tried_again(
    client: str, upstream: str, end: str, code: str | dict[str, str]
) -> None:
    frames = FRAMES[upstream][:4]
    broken: dict[str, list[Piece]] = {
        "error": [*frames, OVERLOADED[upstream]],
        "cut": [*frames, StreamBroken("cut")],
        "end": [*frames],
    }
    rig = speaking(upstream, broken[end])
    sent = await rig.ask(make_request(client, stream=True))
    assert rig.transport.keys == ["key-1"]
    assert b'"error"' in sent.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert b"[DONE]" not in sent
    assert b"message_stop" not in sent
    assert rig.record.error_code == (code if isinstance(code, str) else code[upstream])
    assert rig.transport.all_closed


async def test_an_account_that_keeps_breaking_streams_rests() -> None:
    broken = streamed([*CHAT[:4], StreamBroken("cut")])
    rig = Rig(lambda sent: broken if sent.key == "key-1" else streamed(CHAT))
    for _ in range(5):
        await rig.ask(make_request(stream=True))
    assert rig.transport.keys == ["key-1", "key-2", "key-1", "key-2", "key-2"]
    assert rig.rests == {(ONE, "gpt-x"): 10.0}


async def test_a_stream_that_ends_well_does_not_wipe_an_earlier_break() -> None:
    """Half of them broken is too much, whatever comes between."""
    well, broken = streamed(CHAT), streamed([*CHAT[:4], StreamBroken("cut")])
    left = [broken, well, well, well, broken]
    rig = Rig(lambda _: left.pop(0))
    for _ in range(5):
        await rig.ask(make_request(stream=True))
    assert rig.transport.keys == ["key-1", "key-2", "key-1", "key-2", "key-1"]
    assert rig.rests == {(ONE, "gpt-x"): 10.0}


async def test_a_limit_met_inside_a_stream_lets_the_account_rest() -> None:
    limited = b'data: {"error":{"message":"x","code":"rate_limit_exceeded"}}\n\n'
    rig = speaking("chat", [*CHAT[:4], limited])
    await rig.ask(make_request(stream=True))
    assert rig.rests == {(ONE, "gpt-x"): 1.0}


async def test_a_mistake_of_ours_breaks_one_stream_and_is_told_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = speaking("chat", [*CHAT[:4], ValueError("our mistake")])
    sent = await rig.ask(make_request(stream=True))
    assert b"the gateway failed" in sent
    assert b"our mistake" not in sent
    assert rig.record.error_code == "internal"
    assert rig.told == []
    assert "our mistake" in caplog.text
    assert rig.transport.all_closed


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_shutdown_is_told_in_the_clients_format_and_blames_nobody(
    client: str, upstream: str
) -> None:
    rig = speaking(upstream, [*FRAMES[upstream]])
    reply, sink = await rig.open(make_request(client, stream=True)), FakeSink(room=1)
    async with pouring(reply, sink) as stream:
        await sink.next()
        rig.executor.cut()
        sink.open()
        await stream
    assert b"shutting down" in sink.writes[-1]
    assert sink.writes[-1].startswith(
        {"chat": b'data: {"error"', "messages": b"event: error"}[client]
    )
    assert rig.record.error_code == "unavailable"
    assert rig.told == []
    assert not rig.cooldowns._strikes
    assert not rig.executor.is_busy


# --- a stream and its client ------------------------------------------------------------------


async def test_what_arrives_is_given_before_more_is_read() -> None:
    """A client that does not read its answer keeps the provider from being read."""
    rig = speaking("messages", [*MESSAGES])
    reply, sink = await rig.open(make_request("messages", stream=True)), FakeSink(room=1)
    (response,) = rig.transport.responses
    begun = len(MESSAGES) - response.left
    async with pouring(reply, sink) as stream:
        assert await sink.next() == b"".join(MESSAGES[:begun])
        for count, frame in enumerate(MESSAGES[begun:], start=begun):
            await settled()
            assert response.left == len(MESSAGES) - count
            assert await sink.next() == frame
        sink.open()
        await stream
    assert rig.record.error_code is None


async def test_a_client_that_reads_again_gets_what_came_meanwhile() -> None:
    rig = speaking("chat", [*CHAT])
    reply, sink = await rig.open(make_request(stream=True)), FakeSink(room=2)
    async with pouring(reply, sink) as stream:
        await settled()
        assert len(sink.writes) == 2
        left = rig.transport.responses[0].left
        await settled()
        assert rig.transport.responses[0].left == left > 0
        sink.open()
        await stream
    assert sink.drains == 1
    assert sink.sent == b"".join(frame for frame in CHAT if b'"choices":[]' not in frame)


async def test_a_quick_client_is_not_waited_for() -> None:
    rig = speaking("messages", [*MESSAGES])
    sink = FakeSink()
    sent = await poured(await rig.open(make_request("messages", stream=True)), sink)
    assert (sent, sink.drains) == (body_of("messages"), 0)


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_client_whose_writes_are_waited_for_gets_the_same(
    client: str, upstream: str
) -> None:
    told = []
    for sink in (FakeSink(), AwaitedSink()):
        rig = speaking(upstream, [*FRAMES[upstream], b": bye\n\n"])
        told.append(await poured(await rig.open(make_request(client, stream=True)), sink))
        assert rig.transport.responses[0].was_read
    assert told[0] == told[1]
    assert told[0].endswith(b": bye\n\n") == (client == upstream)


@pytest.mark.parametrize("client", ["chat", "messages"])
async def test_the_end_is_sent_before_the_connections_end_is_waited_for(client: str) -> None:
    rig = speaking("messages", [*MESSAGES, Silence(0.04)])
    began, ended = rig.clock.now(), []

    class Timed(AwaitedSink):
        async def drain(self) -> None:
            await super().drain()
            if self.sent.rstrip().endswith((b"[DONE]", b'{"type":"message_stop"}')):
                ended.append(rig.clock.now() - began)

    await poured(await rig.open(make_request(client, stream=True)), Timed())
    assert ended[0] == 0.0
    assert rig.transport.responses[0].was_read


@pytest.mark.parametrize("client", ["chat", "messages"])
async def test_who_leaves_inside_a_stream_closes_it_and_what_it_used_is_recorded(
    client: str,
) -> None:
    rig = speaking("messages", [*MESSAGES])
    reply, sink = await rig.open(make_request(client, stream=True)), FakeSink(room=1)
    async with pouring(reply, sink):
        await sink.next()
        await sink.next()
        assert rig.executor.is_busy
    assert [response.is_closed for response in rig.transport.responses] == [True]
    assert not rig.transport.responses[0].was_read
    assert rig.record.usage.input_tokens == Scenario().input_tokens
    assert rig.record.error_code is None
    assert (rig.told, rig.executor.is_busy) == ([], False)


async def test_a_client_that_cannot_be_written_to_is_no_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = speaking("chat", [*CHAT])
    sink = LeftSink(room=2)
    with pytest.raises(ConnectionError):
        await poured(await rig.open(make_request(stream=True)), sink)
    assert len(sink.writes) == 2
    assert rig.record.error_code is None
    assert (rig.told, caplog.records) == ([], [])
    assert rig.transport.all_closed


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("place", ["opening", "later"])
async def test_an_error_inside_a_stream_does_not_repeat_the_key(client: str, place: str) -> None:
    told = b'data: {"error":{"message":"bad sk-secret-1234567890","code":"1305"}}\n\n'
    account = replace(make_stored(1), credentials=Credentials("sk-secret-1234567890"))
    pieces = [*CHAT[:4], told] if place == "later" else [b"".join([*CHAT[:4], told])]
    rig = Rig(lambda _: streamed(pieces), [account])
    sent = await rig.ask(make_request(client, stream=True))
    assert rig.transport.keys == ["sk-secret-1234567890"]
    assert b'"error"' in sent
    assert b"bad " in sent
    assert b"sk-secret" not in sent


# --- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["chat", "messages"])
async def test_a_stream_is_read_to_its_end_so_that_the_connection_serves_again(
    client: str,
) -> None:
    rig = speaking("chat", [*CHAT, Silence(0.01), b": bye\n\n"])
    sent = await rig.ask(make_request(client, stream=True, stream_options={"include_usage": True}))
    assert rig.transport.responses[0].was_read
    assert sent.endswith(b": bye\n\n") == (client == "chat")


async def test_the_end_of_a_connection_is_not_waited_for_long() -> None:
    more: list[Piece] = [b": more\n\n", Silence(0.01)]
    rig = speaking("chat", [*CHAT, *(more * 100)])
    began = rig.clock.now()
    await rig.ask(make_request(stream=True))
    assert rig.clock.now() - began < 0.1
    assert rig.transport.all_closed


@pytest.mark.parametrize("asks", [False, True])
async def test_usage_is_recorded_and_its_frame_shown_only_to_who_asked(asks: bool) -> None:
    rig = Rig(chat_answer)
    options = {"stream_options": {"include_usage": True}} if asks else {}
    sent = await rig.ask(make_request(stream=True, **options))  # type: ignore[arg-type]
    assert (b'"choices":[]' in sent) == asks
    assert sent.endswith(b"data: [DONE]\n\n")
    assert rig.record.usage.output_tokens == 7
    payload = json.loads(rig.transport.sent[0].request.body)
    assert payload["stream_options"] == {"include_usage": True}


async def test_usage_is_not_asked_for_where_the_operator_says_so() -> None:
    rig = Rig(chat_answer, asks_stream_usage=False)
    request = make_request(stream=True)
    await rig.ask(request)
    assert rig.transport.sent[0].request.body is request.body
    assert rig.record.usage.output_tokens is None


# --- the other form than the one asked for ----------------------------------------------------


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_whole_answer_to_a_stream_request_is_told_as_a_stream(
    client: str, upstream: str
) -> None:
    write = chat.chat_json if upstream == "chat" else messages.messages_json
    body = compact(write(Scenario())).encode()
    provider = make_provider(dialect=DIALECTS[upstream])
    rig = Rig(lambda _: whole(body), providers=[provider])
    sent = await rig.ask(make_request(client, stream=True))
    assert "wörld".encode() in sent
    assert (b"[DONE]" if client == "chat" else b"message_stop") in sent
    assert rig.record.usage.output_tokens == 7
    assert rig.transport.all_closed


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_stream_that_nobody_asked_for_is_collected(client: str, upstream: str) -> None:
    rig = speaking(upstream, [*FRAMES[upstream]])
    answer = json.loads(await rig.ask(make_request(client)))
    text = (
        answer["choices"][0]["message"]["content"]
        if client == "chat"
        else answer["content"][0]["text"]
    )
    assert text == Scenario().whole_text
    assert rig.record.usage.output_tokens == 7
    assert rig.transport.all_closed


async def test_a_whole_answer_that_is_called_a_stream_is_read_as_what_it_is() -> None:
    body = compact(chat.chat_json(Scenario())).encode()
    rig = Rig(lambda _: whole(body, content_type="text/event-stream"))
    assert await rig.ask(make_request()) == body
    assert rig.record.usage.output_tokens == 7


@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_stream_that_nobody_asked_for_may_fail(upstream: str) -> None:
    frames = FRAMES[upstream]
    rig = speaking(upstream, [*frames[:4], OVERLOADED[upstream]], [*frames])
    assert json.loads(await rig.ask(make_request(upstream)))
    assert rig.transport.keys == ["key-1", "key-2"]


async def test_errors_inside_a_stream_are_judged_by_their_provider() -> None:
    limited = b'data: {"error":{"code":"1113","message":"no balance"}}\n\n'
    for stream in (False, True):
        left = [streamed([limited])]

        def script(sent: Sent, left: list[Answer] = left) -> Answer:
            return left.pop(0) if left else chat_answer(sent)

        accounts = [make_stored(number, provider_id="glm") for number in (1, 2)]
        rig = Rig(script, accounts, providers=[glm.PROVIDER])
        await rig.ask(make_request(model="glm/glm-4.6", stream=stream))
        assert rig.rests == {(ONE, EVERY_MODEL): 1800.0}


# --- what is told beside the answer -----------------------------------------------------------


async def test_what_could_not_be_carried_is_named_and_cannot_break_the_header() -> None:
    rig = Rig(messages_answer, providers=[make_provider(dialect=DIALECTS["messages"])])
    odd = {"logit_bias": {"1": 1}, "a\r\nset-cookie: x": 1, "ü": 1, "y" * 9000: 1}
    reply = await rig.open(make_request(**odd))  # type: ignore[arg-type]
    assert reply.headers["x-aigateway-dropped"] == "logit_bias, other"


async def test_translated_and_raw_answers_are_recorded_as_such() -> None:
    for dialect, mode in (("chat", "raw"), ("messages", "translated")):
        rig = Rig(chat_answer)
        await rig.ask(make_request(dialect))
        assert rig.record.mode == mode
        assert rig.record.upstream_model == "gpt-x"


async def test_a_body_over_the_limit_is_refused() -> None:
    rig = Rig(chat_answer, limits=Limits(max_response_bytes=10))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert caught.value.kind is ErrorKind.TRUNCATED


async def test_silence_while_holding_back_is_no_error() -> None:
    rig = speaking("chat", [Silence(25.0), *CHAT])
    assert "wörld".encode() in await rig.ask(make_request(stream=True))
    assert rig.record.error_code is None
    rig = speaking("chat", [TimedOut("x")], [*CHAT])
    assert "wörld".encode() in await rig.ask(make_request(stream=True))


@pytest.mark.parametrize(("client", "upstream"), [("chat", "messages"), ("messages", "chat")])
async def test_half_a_surrogate_pair_in_a_whole_answer_becomes_a_replacement(
    client: str, upstream: str
) -> None:
    tell = messages.messages_json if upstream == "messages" else chat.chat_json
    cut = json.dumps(tell(Scenario(text=("cut \ud83d",)))).encode()
    assert b"\\ud83d" in cut
    rig = Rig(lambda _: whole(cut), 1, providers=[make_provider(dialect=DIALECTS[upstream])])
    assert "cut \ufffd".encode() in await rig.ask(make_request(client))
