"""Calls beside those of models: signed, sent the account's way, renewed once, read whole."""

import asyncio

import pytest

from models.errors import Blame, ConnectFailed, NoCapacity, StreamBroken, TimedOut, UpstreamError
from models.json_types import JsonObject
from providers.base import Step
from services.account_calls import AccountCalls
from tests.builders import assigned, make_egress, make_provider, make_stored
from tests.fakes.transport import Answer, Sent, whole
from tests.services.executor_rig import Rig, Script

PROXY = make_egress()
PROVIDER = make_provider()
LIST = Step("GET", "/models")


def rig(script: Script, *, is_bound: bool = False) -> Rig:
    stored = assigned(make_stored(1), PROXY) if is_bound else make_stored(1)
    return Rig(script, [stored], providers=[PROVIDER], proxies=[PROXY])


async def asked(made: Rig, step: Step = LIST, limit_s: float = 5.0) -> JsonObject:
    calls: AccountCalls = made.calls
    (stored,) = made.snapshot.accounts.values()
    return await calls.answer(await calls.caller(stored, PROVIDER), step, limit_s=limit_s)


async def test_a_call_is_signed_and_goes_the_accounts_own_way() -> None:
    made = rig(lambda _: whole(b'{"a":1}'), is_bound=True)
    assert await asked(made) == {"a": 1}
    (sent,) = made.transport.sent
    assert (sent.key, sent.egress_id, sent.first_byte_timeout_s) == ("key-1", PROXY.id, 5.0)
    assert (sent.request.method, sent.request.body) == ("GET", b"")
    assert "content-type" not in sent.request.headers
    assert made.transport.all_closed


async def test_what_it_carries_is_json() -> None:
    made = rig(lambda _: whole(b"{}"))
    await asked(made, Step("POST", "/x", {"project": "p"}))
    (sent,) = made.transport.sent
    assert (sent.request.body, sent.request.url) == (b'{"project":"p"}', "http://127.0.0.1:1/x")
    assert sent.request.headers["content-type"] == "application/json"


async def test_a_token_that_is_refused_is_renewed_once_and_stays_renewed() -> None:
    made = rig(lambda sent: whole(b"{}", 401 if sent.key == "key-1" else 200))
    made.tokens.fresh = ["new"]
    (stored,) = made.snapshot.accounts.values()
    caller = await made.calls.caller(stored, PROVIDER)
    for _ in range(2):
        await made.calls.answer(caller, LIST, limit_s=5.0)
    assert made.transport.keys == ["key-1", "new", "new"]
    assert made.transport.all_closed


async def test_a_credential_that_cannot_be_renewed_is_told() -> None:
    made = rig(lambda _: whole(b"{}", 401))
    with pytest.raises(UpstreamError) as refused:
        await asked(made)
    assert (refused.value.upstream_status, refused.value.blame) == (401, Blame.ACCOUNT)
    assert made.transport.keys == ["key-1"]


async def test_a_credential_that_the_provider_repeats_is_hidden() -> None:
    body = b'{"error":{"message":"no such key: key-1","type":"x"}}'
    made = rig(lambda _: whole(body, 403))
    with pytest.raises(UpstreamError) as refused:
        await asked(made)
    assert "key-1" not in refused.value.message + str(refused.value.upstream_body)
    assert "***" in refused.value.message


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(whole(b"<html>"), UpstreamError, id="no JSON"),
        pytest.param(whole(b"[]"), UpstreamError, id="no object"),
        pytest.param(Answer(pieces=[StreamBroken("cut")]), StreamBroken, id="cut"),
        pytest.param(ConnectFailed("dead", blame=Blame.EGRESS), ConnectFailed, id="no way"),
    ],
)
async def test_what_is_no_answer_is_a_failure_of_the_provider(
    answer: Answer | UpstreamError, error: type[UpstreamError]
) -> None:
    made = rig(lambda _: answer)
    with pytest.raises(error):
        await asked(made)
    assert made.transport.all_closed


async def test_a_body_that_does_not_come_is_given_up() -> None:
    made = rig(lambda _: whole(b"{}"))

    async def never(_limit_bytes: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    made.transport.patch = lambda response: setattr(response, "read", never)
    with pytest.raises(TimedOut):
        await asked(made, limit_s=0.01)
    assert made.transport.all_closed


async def test_an_account_without_a_way_out_never_goes_direct() -> None:
    def unasked(_: Sent) -> Answer:
        raise AssertionError

    stored = make_stored(1, egress_bound=True, proxy_id="gone")
    made = Rig(unasked, [stored], providers=[PROVIDER])
    with pytest.raises(NoCapacity):
        await asked(made)
