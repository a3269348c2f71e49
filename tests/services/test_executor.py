"""Which accounts are asked for a model call, what the client gets, who rests afterwards."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from dialects import DIALECTS
from models.account import AuthType, TokenState
from models.errors import (
    BadRequest,
    Blame,
    ConnectFailed,
    ConnectionLost,
    ErrorKind,
    NoCapacity,
    NoRoute,
    StreamBroken,
    TimedOut,
    UpstreamError,
)
from models.rest import EVERY_MODEL
from providers import glm
from services.answers import Limits
from services.cooldown import Attempted
from tests.builders import assigned, make_egress, make_provider, make_stored
from tests.fakes.provider import error_body
from tests.fakes.transport import Answer, Sent, whole
from tests.services.executor_rig import Rig, Script, chat_answer, make_request, messages_answer

ONE, TWO = f"{1:032x}", f"{2:032x}"
PROXY = make_egress()


def failing(first: Answer | UpstreamError, key: str = "key-1") -> Script:
    """One account fails, the others are well."""
    return lambda sent: first if sent.key == key else chat_answer(sent)


def told(status: int, **headers: str) -> Answer:
    return whole(error_body("chat", status), status, **headers)


@dataclass(frozen=True)
class Case:
    """How the first account's attempt ends, and what follows for it."""

    answer: Answer | UpstreamError
    kind: ErrorKind
    status: int
    """What the client gets if nobody else can serve."""
    rests: dict[tuple[str, str], float] = field(default_factory=dict)
    asked: tuple[str, ...] = ("key-1", "key-2")


CASES = {
    "key refused": Case(told(401), ErrorKind.UPSTREAM_AUTH, 502, {(ONE, EVERY_MODEL): 10.0}),
    "billing": Case(
        whole(b'{"error":{"message":"x","code":"insufficient_quota"}}', 429),
        ErrorKind.BILLING,
        402,
        {(ONE, EVERY_MODEL): 1800.0},
    ),
    "forbidden": Case(
        whole(b'{"error":{"message":"no"}}', 403),
        ErrorKind.PERMISSION,
        502,
        {(ONE, "gpt-x"): 600.0},
    ),
    "no such model": Case(told(404), ErrorKind.MODEL_NOT_FOUND, 404, {(ONE, "gpt-x"): 43_200.0}),
    "limit with a wait": Case(
        told(429, retry_after="30"), ErrorKind.RATE_LIMIT, 429, {(ONE, "gpt-x"): 30.0}
    ),
    "limit without": Case(told(429), ErrorKind.RATE_LIMIT, 429, {(ONE, "gpt-x"): 1.0}),
    "server error": Case(told(500), ErrorKind.UPSTREAM, 502),
    "bad gateway": Case(whole(b"<html>", 502), ErrorKind.UPSTREAM, 502),
    "unavailable": Case(whole(b"", 503), ErrorKind.OVERLOADED, 503, {(ONE, "gpt-x"): 5.0}),
    "overloaded": Case(whole(b"", 529), ErrorKind.OVERLOADED, 503, {(ONE, "gpt-x"): 5.0}),
    "gateway timeout": Case(whole(b"", 504), ErrorKind.TIMEOUT, 504),
    "redirect": Case(whole(b"", 302), ErrorKind.UPSTREAM, 502),
    "no connection": Case(ConnectFailed("refused", blame=Blame.PROVIDER), ErrorKind.UPSTREAM, 502),
    "no answer": Case(TimedOut("silent"), ErrorKind.TIMEOUT, 504),
    "hung up": Case(
        ConnectionLost("gone"), ErrorKind.UPSTREAM, 502, asked=("key-1", "key-1", "key-2")
    ),
    "no JSON": Case(whole(b"<html>"), ErrorKind.UPSTREAM, 502),
    "nothing": Case(whole(b""), ErrorKind.UPSTREAM, 502),
    "an error as 200": Case(
        whole(b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}'),
        ErrorKind.RATE_LIMIT,
        429,
        {(ONE, "gpt-x"): 1.0},
    ),
    "a cut body": Case(Answer(pieces=[b'{"id"', StreamBroken("cut")]), ErrorKind.TRUNCATED, 502),
    "a body that stops": Case(
        Answer(pieces=[b'{"id"', TimedOut("silent")]), ErrorKind.TIMEOUT, 504
    ),
    "an error whose body is cut": Case(
        Answer(429, [StreamBroken("cut")]), ErrorKind.RATE_LIMIT, 429, {(ONE, "gpt-x"): 1.0}
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_another_account_serves_what_the_first_cannot(case: Case, stream: bool) -> None:
    rig = Rig(failing(case.answer))
    body = await rig.ask(make_request(stream=stream))
    assert b"w\xc3\xb6rld" in body
    assert tuple(rig.transport.keys) == case.asked
    assert (rig.record.attempts, rig.record.account_id) == (len(set(case.asked)), TWO)
    assert [row.account_id for row in rig.record.tries] == [
        ONE if key == "key-1" else TWO for key in case.asked
    ]
    assert rig.record.error_code is None
    assert rig.record.usage.output_tokens == 7
    assert rig.record.first_byte_ms is not None
    assert rig.rests == case.rests
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_what_nobody_can_serve_is_told_with_its_status(case: Case, stream: bool) -> None:
    rig = Rig(lambda _: case.answer)
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request(stream=stream))
    assert (caught.value.kind, caught.value.status) == (case.kind, case.status)
    assert not caught.value.is_verbatim
    assert set(rig.transport.keys) == {"key-1", "key-2"}
    assert rig.record.usage.output_tokens is None
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_bad_request_is_told_as_it_came_and_tried_once(status: int, stream: bool) -> None:
    rig = Rig(failing(told(status)))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request(stream=stream))
    assert caught.value.is_verbatim
    assert caught.value.upstream_body == error_body("chat", status)
    assert caught.value.status == status
    assert rig.transport.keys == ["key-1"]
    assert rig.told == []
    assert rig.transport.all_closed


async def test_a_refusal_in_other_words_is_never_told_as_a_401_of_ours() -> None:
    body = b'{"error":{"message":"x","code":"unsupported_parameter"}}'
    rig = Rig(failing(whole(body, 401)))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert not caught.value.is_verbatim
    assert caught.value.status == 400


async def test_the_words_of_another_format_are_not_passed_on() -> None:
    provider = make_provider("anthropic", dialect=DIALECTS["messages"])
    account = make_stored(1, provider_id="anthropic")
    rig = Rig(lambda _: whole(error_body("messages", 400), 400), [account], providers=[provider])
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert not caught.value.is_verbatim
    assert caught.value.status == 400


async def test_at_most_four_accounts_are_asked() -> None:
    rig = Rig(lambda _: told(500), 6)
    with pytest.raises(UpstreamError):
        await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-2", "key-3", "key-4"]
    assert rig.record.attempts == 4


async def test_no_attempt_begins_after_the_time_for_all_of_them() -> None:
    def slow(_: Sent) -> UpstreamError:
        rig.clock.advance(250.0)
        return TimedOut("silent")

    rig = Rig(slow, 6, limits=Limits(first_byte_timeout_s=600.0))
    with pytest.raises(TimedOut):
        await rig.ask(make_request())
    assert [sent.first_byte_timeout_s for sent in rig.transport.sent] == [300.0, 300.0, 100.0]


async def test_a_lost_connection_is_tried_once_more_with_the_same_account_only_once() -> None:
    rig = Rig(lambda _: ConnectionLost("gone"), 3)
    with pytest.raises(ConnectionLost):
        await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-1", "key-2", "key-3"]
    assert rig.told == []


async def test_the_wait_told_is_the_shortest_of_those_who_met_a_limit() -> None:
    waits = {"key-1": "20", "key-2": "500"}
    rig = Rig(lambda sent: told(429, retry_after=waits[sent.key]))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert caught.value.retry_after_s == 20.0


async def test_while_others_were_not_asked_yet_the_client_may_come_back_at_once() -> None:
    rig = Rig(lambda _: told(429, retry_after="500"), 5, limits=Limits(max_refusals=3))
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert len(rig.transport.sent) == 4
    assert caught.value.retry_after_s == 1.0


async def test_a_refused_request_takes_nobodys_turn() -> None:
    rig = Rig(messages_answer, providers=[make_provider(dialect=DIALECTS["messages"])])
    for _ in range(3):
        await rig.ask(make_request())
        with pytest.raises(BadRequest):
            await rig.ask(make_request(messages=[{"role": "alien", "content": 1}]))
    assert rig.transport.keys == ["key-1", "key-2", "key-1"]


# --- ways out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ConnectFailed("dead", blame=Blame.EGRESS), id="dead"),
        pytest.param(
            Answer(403, [b"<html>blocked</html>"], {"content-type": "text/html"}), id="blocked"
        ),
        pytest.param(Answer(407, [b""], {}), id="credentials"),
    ],
)
async def test_a_failing_proxy_pays_and_its_account_does_not(
    answer: Answer | UpstreamError,
) -> None:
    behind = assigned(make_stored(1), PROXY)
    rig = Rig(failing(answer), [behind, make_stored(2)], proxies=[PROXY])
    await rig.ask(make_request())
    assert [(sent.key, sent.egress_id) for sent in rig.transport.sent] == [
        ("key-1", PROXY.id),
        ("key-2", None),
    ]
    assert rig.rests == {}
    assert rig.cooldowns.strikes(PROXY.id, (EVERY_MODEL,)) == 1
    assert rig.record.egress_errors == (PROXY.id,)
    assert rig.record.proxy_id is None


async def test_every_failure_of_a_proxy_is_counted() -> None:
    accounts = [assigned(make_stored(number), PROXY) for number in (1, 2)]
    dead = ConnectFailed("dead", blame=Blame.EGRESS)
    rig = Rig(lambda _: dead, accounts, proxies=[PROXY])
    with pytest.raises(ConnectFailed) as caught:
        await rig.ask(make_request())
    assert caught.value.kind is ErrorKind.EGRESS
    assert rig.record.egress_errors == (PROXY.id, PROXY.id)
    assert rig.record.proxy_id == PROXY.id
    # A third failure in a row puts it into quarantine; the only way there is stays open.
    with pytest.raises(ConnectFailed):
        await rig.ask(make_request())
    assert rig.rests == {(PROXY.id, EVERY_MODEL): 30.0}
    with pytest.raises(ConnectFailed):
        await rig.ask(make_request())
    assert [row.choice for row in rig.record.tries] == ["last_resort"] * 2


# --- tokens -----------------------------------------------------------------------------------


def oauth(number: int = 1) -> Rig:
    script = failing(told(401), f"key-{number}")
    return Rig(script, [make_stored(1, auth_type=AuthType.OAUTH), make_stored(2)])


async def test_a_refused_token_is_refreshed_and_the_same_account_serves() -> None:
    rig = oauth()
    rig.tokens.fresh = ["new"]
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "new"]
    assert rig.tokens.refused == ["key-1"]
    assert (rig.record.attempts, rig.record.account_id) == (1, ONE)
    assert rig.told == []
    assert rig.transport.all_closed


async def test_a_refreshed_token_that_is_refused_too_ends_the_attempt() -> None:
    rig = oauth()
    rig.transport.script = lambda sent: chat_answer(sent) if sent.key == "key-2" else told(401)
    rig.tokens.fresh = ["new", "newer"]
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "new", "key-2"]
    assert rig.rests == {(ONE, EVERY_MODEL): 600.0}
    assert rig.transport.all_closed


async def test_without_a_new_token_the_next_account_serves() -> None:
    rig = oauth()
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-2"]
    assert rig.transport.all_closed


async def test_an_account_that_cannot_be_signed_for_is_passed_over_and_not_asked() -> None:
    rig = oauth()
    rig.tokens.errors[ONE] = UpstreamError(
        "no token", kind=ErrorKind.UPSTREAM_AUTH, blame=Blame.ACCOUNT, sent=False
    )
    rig.tokens.errors[ONE].pause_s = 7.0
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-2"]
    assert 8.0 <= rig.rests[(ONE, EVERY_MODEL)] <= 9.0


async def test_leaving_while_a_token_is_refreshed_closes_the_answer() -> None:
    rig = oauth()
    waiting = asyncio.Event()

    async def never(*_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    rig.tokens.rejected = never  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(rig.ask(make_request()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.transport.all_closed
    assert not rig.executor.is_busy


# --- routes -----------------------------------------------------------------------------------


def two_providers(
    script: Script, *, dialects: tuple[str, str] = ("chat", "chat"), accounts: int = 1
) -> Rig:
    """Both serve gpt-; `first` has the accounts 1 and up, `second` account 9."""
    providers = [
        make_provider(name, dialect=DIALECTS[dialect])
        for name, dialect in zip(("first", "second"), dialects, strict=True)
    ]
    stored = [make_stored(number, provider_id="first") for number in range(1, accounts + 1)]
    return Rig(script, [*stored, make_stored(9, provider_id="second")], providers=providers)


async def test_the_second_provider_serves_when_the_first_is_exhausted() -> None:
    rig = two_providers(lambda sent: chat_answer(sent) if sent.key == "key-9" else told(429))
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-9"]
    assert (rig.record.provider_id, rig.record.attempts) == ("second", 2)
    await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-9", "key-9"]


async def test_attempts_are_counted_over_all_providers() -> None:
    rig = two_providers(lambda _: told(500), accounts=5)
    with pytest.raises(UpstreamError):
        await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "key-2", "key-3", "key-4"]


@pytest.mark.parametrize("is_served", [True, False])
async def test_a_model_that_one_provider_lacks_may_be_had_from_the_next(is_served: bool) -> None:
    """GLM says it with a code and a status of 400; the last word stays that 404."""
    missing = whole(b'{"error":{"code":"1211","message":"no such model"}}', 400)
    providers = [
        replace(make_provider(name), diagnose=glm.diagnose) for name in ("first", "second")
    ]
    rig = Rig(
        lambda sent: chat_answer(sent) if is_served and sent.key == "key-9" else missing,
        [make_stored(1, provider_id="first"), make_stored(9, provider_id="second")],
        providers=providers,
    )
    if is_served:
        await rig.ask(make_request())
        assert rig.record.provider_id == "second"
    else:
        with pytest.raises(UpstreamError) as caught:
            await rig.ask(make_request())
        assert (caught.value.kind, caught.value.status) == (ErrorKind.MODEL_NOT_FOUND, 404)
    assert rig.transport.keys == ["key-1", "key-9"]
    assert set(rig.rests.values()) == {43_200.0}
    assert len(rig.rests) == (1 if is_served else 2)


async def test_a_bad_request_is_not_taken_to_the_next_provider() -> None:
    rig = two_providers(lambda _: told(400))
    with pytest.raises(UpstreamError):
        await rig.ask(make_request())
    assert rig.transport.keys == ["key-1"]


async def test_what_one_provider_cannot_carry_another_gets_as_it_is() -> None:
    rig = two_providers(chat_answer, dialects=("messages", "chat"))
    request = make_request(n=3)
    await rig.ask(request)
    assert rig.transport.keys == ["key-9"]
    assert rig.transport.sent[0].request.body is request.body
    assert rig.record.mode == "raw"


@pytest.mark.parametrize("first", ["messages", "chat"])
async def test_a_provider_that_may_serve_later_counts_more_than_one_that_never_can(
    first: str,
) -> None:
    rig = two_providers(chat_answer, dialects=(first, "messages" if first == "chat" else "chat"))
    chat = "first" if first == "chat" else "second"
    account = rig.snapshot.by_provider[chat][0]
    limit = UpstreamError("limit", kind=ErrorKind.RATE_LIMIT, retry_after_s=9)
    route = rig.snapshot.router.resolve("gpt-x")[0 if chat == "first" else 1]
    rig.cooldowns.failed(Attempted(account.account.id, AuthType.API_KEY, None, route), limit)
    with pytest.raises(NoCapacity) as caught:
        await rig.ask(make_request(n=3))
    assert (caught.value.status, caught.value.retry_after_s) == (429, 9)
    assert rig.transport.sent == []


async def test_a_model_that_nobody_serves_is_unknown() -> None:
    rig = Rig(chat_answer)
    with pytest.raises(NoRoute):
        await rig.ask(make_request(model="alien-1"))
    assert rig.record.attempts == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_active": False}, "inactive"),
        ({"models": ("gpt-other",)}, "model_not_allowed"),
        ({"auth_type": AuthType.OAUTH, "token_state": TokenState.NEEDS_REAUTH}, "needs_login"),
        ({"proxy_id": "gone"}, "waiting_for_proxy"),
    ],
)
async def test_without_a_usable_account_nothing_is_sent(
    changes: dict[str, object], reason: str
) -> None:
    rig = Rig(chat_answer, [make_stored(1, **changes)])
    with pytest.raises(NoCapacity) as caught:
        await rig.ask(make_request())
    assert caught.value.status == 503
    assert caught.value.details == {"reasons": {reason: 1}}
    assert rig.transport.sent == []
