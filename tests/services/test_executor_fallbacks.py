"""Other models may serve in one's stead; a request may wait, be hedged, and is not repeated for
ever; and every call of a provider leaves a row."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from models.account import AuthType
from models.errors import Blame, ConnectFailed, ErrorKind, NoCapacity, NoRoute, UpstreamError
from models.exchange import ProxyRequest
from models.rest import EVERY_MODEL, origin
from services.answers import Limits
from services.executor import Fallbacks
from tests.builders import make_provider, make_stored
from tests.fakes.provider import error_body
from tests.fakes.scenarios import compact
from tests.fakes.transport import Answer, FakeResponse, Sent, streamed, whole
from tests.services.executor_rig import Rig, chat_answer, make_request
from tests.waiting import until

ONE, TWO = f"{1:032x}", f"{2:032x}"
STAND_IN = "second/gpt-y"


def told(status: int, **headers: str) -> Answer:
    return whole(error_body("chat", status), status, **headers)


def two_models(script: Callable[[Sent], Answer | UpstreamError], **options: object) -> Rig:
    """Key 1 serves gpt-x, key 9 whatever is asked of the provider `second`."""
    return Rig(
        script,
        [make_stored(1, provider_id="first"), make_stored(9, provider_id="second")],
        providers=[make_provider("first"), make_provider("second", prefixes=())],
        **options,  # type: ignore[arg-type]
    )


def asked(*fallbacks: str, stream: bool = False, is_race: bool | None = None) -> ProxyRequest:
    request = make_request(stream=stream)
    return replace(request, fallbacks=fallbacks or None, is_race=is_race)


# --- fallbacks ------------------------------------------------------------------------------


async def test_another_model_serves_when_the_asked_one_cannot() -> None:
    rig = two_models(lambda sent: chat_answer(sent) if sent.key == "key-9" else told(500))
    await rig.ask(asked(STAND_IN))
    assert rig.transport.keys == ["key-1", "key-9"]
    assert b'"gpt-y"' in rig.transport.sent[1].request.body
    assert (rig.record.provider_id, rig.record.upstream_model) == ("second", "gpt-y")
    assert rig.record.model == "gpt-x"


async def test_the_configuration_names_stand_ins_and_a_request_may_name_none() -> None:
    options = {"fallbacks": Fallbacks({"gpt-x": [STAND_IN]})}
    rig = two_models(
        lambda sent: chat_answer(sent) if sent.key == "key-9" else told(500), **options
    )
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-9"]
    with pytest.raises(UpstreamError):
        await rig.ask(replace(make_request(), fallbacks=()))
    assert rig.transport.keys == ["key-1", "key-9", "key-1"]


async def test_a_model_that_nobody_serves_may_have_a_stand_in() -> None:
    rig = two_models(chat_answer)
    await rig.ask(replace(make_request(model="alien-1"), fallbacks=(STAND_IN,)))
    assert rig.transport.keys == ["key-9"]
    with pytest.raises(NoRoute):
        await rig.ask(replace(make_request(model="alien-1"), fallbacks=("alien-2",)))


@pytest.mark.parametrize(
    ("status", "code", "keys"),
    [
        pytest.param(400, None, ["key-1"], id="a bad request is bad everywhere"),
        pytest.param(400, "context_length_exceeded", ["key-1", "key-9"], id="too long for one"),
        pytest.param(429, None, ["key-1", "key-9"], id="a limit"),
    ],
)
async def test_what_every_model_would_refuse_is_refused_at_once(
    status: int, code: str | None, keys: list[str]
) -> None:
    named = f'"code":"{code}",' if code else ""
    refusal = whole(f'{{"error":{{{named}"message":"no"}}}}'.encode(), status)
    rig = two_models(lambda sent: chat_answer(sent) if sent.key == "key-9" else refusal)
    if len(keys) > 1:
        await rig.ask(asked(STAND_IN))
    else:
        with pytest.raises(UpstreamError):
            await rig.ask(asked(STAND_IN))
    assert rig.transport.keys == keys


async def test_when_all_fail_the_most_telling_failure_is_told() -> None:
    dead = ConnectFailed("dead", blame=Blame.PROVIDER)
    rig = two_models(lambda sent: dead if sent.key == "key-9" else told(429, retry_after="9"))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(asked(STAND_IN))
    assert (caught.value.kind, caught.value.status) == (ErrorKind.RATE_LIMIT, 429)


class Slow:
    """Answers whose head waits until it is let go."""

    def __init__(self, rig: Rig, *keys: str) -> None:
        self.gates = {key: asyncio.Event() for key in keys}
        self.asked: list[str] = []
        self._send = rig.transport.send
        rig.transport.send = self.send  # type: ignore[method-assign]

    async def send(self, request: object, egress: object, **options: object) -> FakeResponse:
        response = await self._send(request, egress, **options)  # type: ignore[arg-type]
        key = self.asked_key(request)
        self.asked.append(key)
        if key in self.gates:
            try:
                await self.gates[key].wait()
            except asyncio.CancelledError:
                response.close()
                raise
        return response

    @staticmethod
    def asked_key(request: object) -> str:
        authorization: str = request.headers["authorization"]  # type: ignore[attr-defined]
        return authorization.removeprefix("Bearer ")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_in_a_race_the_first_serves_and_the_other_is_broken_off(stream: bool) -> None:
    rig = two_models(chat_answer)
    slow = Slow(rig, "key-1")
    body = await rig.ask(asked(STAND_IN, stream=stream, is_race=True))
    assert b"w\xc3\xb6rld" in body
    assert sorted(slow.asked) == ["key-1", "key-9"]
    assert rig.record.provider_id == "second"
    assert [(row.account_id, row.error_kind) for row in rig.record.tries] == [
        (ONE, "cancelled"),
        (f"{9:032x}", None),
    ]
    assert rig.rests == {}, "who was broken off is not to blame"
    assert rig.transport.all_closed


@pytest.mark.parametrize(
    ("model", "stand_in", "serves"),
    [("gpt-x", "nobody/has-this", "first"), ("nobody/has-this", STAND_IN, "second")],
    ids=["stand-in", "asked"],
)
async def test_in_a_race_a_model_that_nobody_serves_is_only_one_that_loses(
    model: str, stand_in: str, serves: str
) -> None:
    rig = two_models(chat_answer)
    await rig.ask(replace(asked(stand_in, is_race=True), model=model))
    assert rig.record.provider_id == serves


async def test_a_race_among_models_that_nobody_serves_says_so() -> None:
    rig = two_models(chat_answer)
    with pytest.raises(NoRoute):
        await rig.ask(replace(asked("nobody/has-that", is_race=True), model="nobody/has-this"))


def counted(sent: Sent) -> Answer:
    """An answer that names its provider's account, and says that it took as many tokens."""
    number = int(sent.key.removeprefix("key-"))
    if json.loads(sent.request.body).get("stream"):
        return streamed(
            [
                frame({"choices": [{"index": 0, "delta": {"content": sent.key}}]}),
                frame({"choices": [], "usage": {"prompt_tokens": number, "completion_tokens": 1}}),
                b"data: [DONE]\n\n",
            ]
        )
    message = {"role": "assistant", "content": sent.key}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return whole(compact({**answer, "usage": {"prompt_tokens": number}}).encode())


def frame(event: dict[str, object]) -> bytes:
    return f"data: {compact(event)}\n\n".encode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_of_two_that_answer_at_once_the_record_tells_only_of_who_serves(stream: bool) -> None:
    rig = two_models(counted)
    slow = Slow(rig, "key-1", "key-9")
    task = asyncio.create_task(rig.ask(asked(STAND_IN, stream=stream, is_race=True)))
    await until(lambda: len(slow.asked) == 2)
    for gate in slow.gates.values():
        gate.set()
    body = await task
    winner = next(number for number in (1, 9) if f"key-{number}".encode() in body)
    record = rig.record
    assert record.account_id == f"{winner:032x}"
    assert record.provider_id == {1: "first", 9: "second"}[winner]
    assert record.usage.input_tokens == winner
    assert sorted(row.error_kind or "" for row in record.tries) == ["", "cancelled"]
    assert [rig.pool.inflight(f"{number:032x}") for number in (1, 9)] == [0, 0]
    assert rig.transport.all_closed


async def test_what_breaks_while_a_success_is_noted_leaves_no_lease_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(chat_answer, 1)
    monkeypatch.setattr(rig.pool, "succeeded", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await rig.ask(make_request(stream=True))
    assert rig.pool.inflight(ONE) == 0
    assert rig.transport.all_closed


async def test_a_call_from_before_an_outage_does_not_prolong_it() -> None:
    rig = Rig(lambda _: told(503), 1)
    slow, breaker = Slow(rig, "key-1"), rig.attempts._breaker
    hanging = asyncio.create_task(rig.ask(make_request()))
    await until(lambda: bool(slow.asked))
    rig.clock.advance(1.0)
    address = origin("openai", make_provider().offers[0].base_url)
    for _ in range(10):
        breaker.saw(address, UpstreamError("silent", kind=ErrorKind.TIMEOUT))
    rig.clock.advance(2.0)
    slow.gates["key-1"].set()
    with pytest.raises(UpstreamError):
        await hanging
    rest = rig.cooldowns.found(address, (EVERY_MODEL,), rig.clock.now())
    assert rest is not None
    assert (rest.strikes, breaker.is_open(address, rig.clock.now())) == (1, False)


# --- hedging --------------------------------------------------------------------------------


async def test_a_stream_that_is_slow_to_begin_is_asked_of_a_second_account() -> None:
    rig = Rig(chat_answer, 2, limits=Limits(hedge_after_s=0.01))
    slow = Slow(rig, "key-1")
    body = await rig.ask(make_request(stream=True))
    assert b"w\xc3\xb6rld" in body
    assert slow.asked == ["key-1", "key-2"]
    assert rig.record.account_id == TWO
    assert rig.rests == {}
    assert rig.transport.all_closed


async def test_a_whole_answer_is_never_hedged() -> None:
    rig = Rig(chat_answer, 2, limits=Limits(hedge_after_s=0.01))
    slow = Slow(rig, "key-1")
    task = asyncio.create_task(rig.ask(make_request()))
    await asyncio.sleep(0.05)
    assert slow.asked == ["key-1"]
    slow.gates["key-1"].set()
    await task


# --- limits ---------------------------------------------------------------------------------


async def test_accounts_that_refuse_at_no_cost_do_not_use_the_attempts_up() -> None:
    served = {"key-9": chat_answer}
    rig = Rig(lambda sent: served.get(sent.key, lambda _: told(429))(sent), 9)
    await rig.ask(make_request())
    assert rig.transport.keys == [f"key-{number}" for number in range(1, 10)]


async def test_a_provider_that_is_down_is_not_asked_many_times_over() -> None:
    rig = Rig(lambda _: told(500), 50, limits=Limits(max_attempts=20))
    for _ in range(12):
        with pytest.raises((UpstreamError, NoCapacity)):
            await rig.ask(make_request())
    # A breaker would have ended it before; this is what the budget alone allows at the most.
    assert len(rig.transport.sent) <= 12 + 103


async def test_a_request_waits_for_the_first_account_that_is_well_again() -> None:
    rig = Rig(chat_answer, 1, limits=Limits(max_wait_s=30.0))
    route = rig.snapshot.router.resolve("gpt-x")[0]
    lease = await rig.pool.desk(route).walk().next()
    assert lease is not None
    limit = UpstreamError("limit", kind=ErrorKind.RATE_LIMIT, retry_after_s=9)
    rig.pool.report(lease, route, limit)
    lease.release()
    task = asyncio.create_task(rig.ask(make_request()))
    await asyncio.sleep(0.3)
    assert not task.done()
    rig.clock.advance(10.0)
    assert b"w\xc3\xb6rld" in await asyncio.wait_for(task, 5)


async def test_a_wait_that_cannot_help_is_not_begun() -> None:
    rig = Rig(chat_answer, 1, limits=Limits(max_wait_s=5.0))
    route = rig.snapshot.router.resolve("gpt-x")[0]
    lease = await rig.pool.desk(route).walk().next()
    assert lease is not None
    limit = UpstreamError("limit", kind=ErrorKind.RATE_LIMIT, retry_after_s=900)
    rig.pool.report(lease, route, limit)
    with pytest.raises(NoCapacity) as caught:
        await asyncio.wait_for(rig.ask(make_request()), 1)
    assert caught.value.status == 429


# --- rows -----------------------------------------------------------------------------------


async def test_each_call_of_a_provider_leaves_a_row_with_what_came_of_it() -> None:
    scripts = {"key-1": told(500), "key-2": told(429, retry_after="30")}
    rig = Rig(lambda sent: scripts.get(sent.key) or chat_answer(sent), 3)
    await rig.ask(make_request())
    rows = [
        (row.number, row.account_id, row.choice, row.status, row.error_kind, row.blame)
        for row in rig.record.tries
    ]
    assert rows == [
        (1, ONE, "strategy", 500, "upstream_error", "account_model"),
        (2, TWO, "failover", 429, "rate_limit", "account_model"),
        (3, f"{3:032x}", "failover", 200, None, None),
    ]
    rest = rig.record.tries[1]
    assert (rest.rest_scope, rest.rest_until) == (f"{TWO} gpt-x", rig.clock.now() + 30)
    assert all(row.sent and row.decision is not None for row in rig.record.tries)


async def test_a_refreshed_token_makes_a_second_row_of_the_same_account() -> None:
    rig = Rig(
        lambda sent: told(401) if sent.key == "key-1" else chat_answer(sent),
        [make_stored(1, auth_type=AuthType.OAUTH)],
    )
    rig.tokens.fresh = ["new"]
    await rig.ask(make_request())
    assert [(row.number, row.status) for row in rig.record.tries] == [(1, 401), (2, 200)]


async def test_what_was_never_sent_says_so() -> None:
    rig = Rig(lambda _: ConnectFailed("dead", blame=Blame.PROVIDER), 1)
    with pytest.raises(ConnectFailed):
        await rig.ask(make_request())
    assert [(row.sent, row.status) for row in rig.record.tries] == [(False, None)]
    rig.tokens.errors[ONE] = UpstreamError("no token", blame=Blame.ACCOUNT, sent=False)
    with pytest.raises(UpstreamError):
        await rig.ask(make_request())
    assert [(row.sent, row.base_url) for row in rig.record.tries] == [(False, None)]


async def test_no_row_repeats_the_credential_that_a_provider_echoes() -> None:
    echo = whole(b'{"error":{"message":"key key-1 is wrong"}}', 401)
    rig = Rig(lambda sent: echo if sent.key == "key-1" else chat_answer(sent))
    await rig.ask(make_request())
    assert "key-1" not in repr(rig.record.tries)
    assert rig.rests == {(ONE, EVERY_MODEL): 10.0}


async def test_a_provider_that_fails_for_everybody_is_left_alone_and_said_to_be() -> None:
    rig = Rig(lambda _: told(500), 30)
    asked_before = 0
    for _ in range(10):
        with pytest.raises((UpstreamError, NoCapacity)):
            await rig.ask(make_request())
        if len(rig.transport.sent) == asked_before:
            break
        asked_before = len(rig.transport.sent)
    with pytest.raises(NoCapacity) as caught:
        await rig.ask(make_request())
    assert caught.value.details["reasons"] == {"breaker_open": 1}
    assert (caught.value.status, caught.value.retry_after_s) == (503, 2.0)
    assert rig.record.tries[-1].sent is False
    rig.transport.script = chat_answer
    rig.clock.advance(2.1)
    assert b"w\xc3\xb6rld" in await rig.ask(make_request())


async def test_a_model_that_every_account_lacks_is_not_found_without_asking_again() -> None:
    rig = Rig(lambda _: told(404))
    with pytest.raises(UpstreamError):
        await rig.ask(make_request())
    assert len(rig.transport.sent) == 2
    with pytest.raises(NoCapacity) as caught:
        await rig.ask(make_request())
    assert (caught.value.kind, caught.value.status) == (ErrorKind.MODEL_NOT_FOUND, 404)
    assert len(rig.transport.sent) == 2


async def test_a_row_tells_why_a_model_was_left_without_asking_anybody() -> None:
    rig = two_models(chat_answer)
    route = rig.snapshot.router.resolve("gpt-x")[0]
    lease = await rig.pool.desk(route).walk().next()
    assert lease is not None
    rig.pool.report(lease, route, UpstreamError("limit", kind=ErrorKind.RATE_LIMIT))
    lease.release()
    await rig.ask(asked(STAND_IN))
    left, served = rig.record.tries
    assert (left.choice, left.account_id, left.provider_id, left.model) == (
        "nobody",
        "",
        "first",
        "gpt-x",
    )
    assert (left.error_kind, left.sent, left.status) == ("rate_limit", False, None)
    assert left.message is not None
    assert left.message.endswith("now: 1 cooling_rate_limit")
    assert left.decision is not None
    assert left.decision.excluded == {ONE: "cooling_rate_limit"}
    assert (served.number, served.provider_id, served.status) == (2, "second", 200)
    assert rig.record.attempts == 1
