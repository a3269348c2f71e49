"""Accounts that must find something out before their first call: once, for everybody, kept."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from models.account import StoredAccount
from models.errors import (
    Blame,
    ConnectFailed,
    ErrorKind,
    StorageUnavailable,
    TimedOut,
    UpstreamError,
)
from models.json_types import JsonObject
from models.rest import EVERY_MODEL
from providers.antigravity.discovery import ProjectDiscovery
from tests.builders import assigned, make_egress, make_provider, make_stored
from tests.fakes.transport import Answer, Sent, whole
from tests.services.executor_rig import Rig, Script, chat_answer, make_request
from tests.waiting import until

PROVIDER = replace(make_provider(), discovery=ProjectDiscovery())
PROXY = make_egress()
ONE, TWO = f"{1:032x}", f"{2:032x}"
LOADED: JsonObject = {"currentTier": {"id": "t"}, "cloudaicompanionProject": "p-1"}
UNVERIFIED: JsonObject = {
    "ineligibleTiers": [
        {"reasonCode": "VALIDATION_REQUIRED", "validationUrl": "https://verify.test/1"}
    ]
}


def told(payload: JsonObject, status: int = 200) -> Answer:
    return whole(json.dumps(payload).encode(), status)


def finding(answer: Answer | UpstreamError) -> Script:
    """Discoveries are answered so; model calls are well."""
    return lambda sent: answer if "v1internal" in sent.request.url else chat_answer(sent)


def rig(script: Script, accounts: list[StoredAccount] | int = 1) -> Rig:
    return Rig(script, accounts, providers=[PROVIDER], proxies=[PROXY])


def calls(made: Rig) -> list[str]:
    return [sent.request.url.rpartition("/")[2] for sent in made.transport.sent]


async def test_the_first_call_finds_out_and_stores_it_and_the_next_knows() -> None:
    made = rig(finding(told(LOADED)))
    await made.ask(make_request())
    await made.ask(make_request())
    assert calls(made) == ["v1internal:loadCodeAssist", "completions", "completions"]
    assert made.metadata.facts == {ONE: {"project_id": "p-1"}}
    assert made.metadata.changes == 1


async def test_an_account_that_says_it_itself_is_asked_nothing() -> None:
    made = rig(finding(told(LOADED)), [make_stored(1, metadata={"project_id": "mine"})])
    await made.ask(make_request())
    assert calls(made) == ["completions"]


async def test_it_goes_the_accounts_own_way_signed_by_it_under_our_name() -> None:
    made = rig(finding(told(LOADED)), [assigned(make_stored(1), PROXY)])
    await made.ask(make_request())
    sent = made.transport.sent[0]
    assert (sent.key, sent.egress_id) == ("key-1", PROXY.id)
    assert sent.request.headers["user-agent"] == "aigateway/test"
    assert made.transport.all_closed


async def test_a_token_that_was_refused_is_renewed_once() -> None:
    made = rig(lambda sent: finding(told(LOADED))(sent) if sent.key == "new" else told({}, 401))
    made.tokens.fresh = ["new"]
    ready = await made.discoveries.ready(make_stored(1), PROVIDER)
    assert ready.account.metadata == {"project_id": "p-1"}
    assert made.transport.keys == ["key-1", "new"]


async def test_many_requests_at_once_find_out_once() -> None:
    made = rig(finding(told(LOADED)))
    await asyncio.gather(*(made.discoveries.ready(make_stored(1), PROVIDER) for _ in range(20)))
    assert calls(made) == ["v1internal:loadCodeAssist"]


class Gate:
    """A pause that lasts until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0

    async def __call__(self, _seconds: float) -> None:
        self.waiting += 1
        await self.opened.wait()


def onboarding(sent: Sent) -> Answer:
    if "onboardUser" in sent.request.url:
        return told({"name": "operations/1"})
    if "operations" in sent.request.url:
        return told({"done": True, "response": {"cloudaicompanionProject": {"id": "p-2"}}})
    return told({}) if "loadCodeAssist" in sent.request.url else chat_answer(sent)


async def test_who_leaves_cancels_nothing_that_others_wait_for() -> None:
    made = rig(onboarding)
    gate = made.discoveries._pause = Gate()
    leaving = asyncio.create_task(made.discoveries.ready(make_stored(1), PROVIDER))
    await until(lambda: gate.waiting == 1)
    staying = asyncio.create_task(made.discoveries.ready(make_stored(1), PROVIDER))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.opened.set()
    assert (await staying).account.metadata == {"project_id": "p-2"}
    assert gate.waiting == 1


async def test_it_goes_on_when_everybody_left_and_is_stored() -> None:
    made = rig(onboarding)
    gate = made.discoveries._pause = Gate()
    leaving = asyncio.create_task(made.discoveries.ready(make_stored(1), PROVIDER))
    await until(lambda: gate.waiting == 1)
    leaving.cancel()
    gate.opened.set()
    await until(lambda: made.metadata.facts == {ONE: {"project_id": "p-2"}})


async def test_a_stop_breaks_off_what_runs() -> None:
    made = rig(onboarding)
    gate = made.discoveries._pause = Gate()
    waiting = asyncio.create_task(made.discoveries.ready(make_stored(1), PROVIDER))
    await until(lambda: gate.waiting == 1)
    await made.discoveries.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert made.metadata.facts == {}


# --- failures ---------------------------------------------------------------------------------


async def test_another_account_serves_while_one_has_to_be_verified(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = rig(lambda sent: finding(told(UNVERIFIED if sent.key == "key-1" else LOADED))(sent), 2)
    with caplog.at_level(logging.WARNING):
        body = await made.ask(make_request())
    assert b"w\xc3\xb6rld" in body
    assert made.record.account_id == TWO
    assert made.rests == {(ONE, EVERY_MODEL): 600.0}
    # The operator learns where, from the log; the client does not.
    remedies = [getattr(record, "remedy", None) for record in caplog.records]
    assert any(remedy and "https://verify.test/1" in remedy for remedy in remedies)
    alone = rig(finding(told(UNVERIFIED)))
    with pytest.raises(UpstreamError) as caught:
        await alone.ask(make_request())
    assert (caught.value.kind, caught.value.status) == (ErrorKind.PERMISSION, 502)
    assert "verify.test" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(told({"error": {"message": "m"}}, 500), ErrorKind.UPSTREAM, id="refused"),
        pytest.param(whole(b"<html>"), ErrorKind.UPSTREAM, id="no JSON"),
        pytest.param(TimedOut("silent"), ErrorKind.TIMEOUT, id="silent"),
        pytest.param(ConnectFailed("dead", blame=Blame.EGRESS), ErrorKind.EGRESS, id="no way"),
    ],
)
async def test_a_failure_is_remembered_for_a_while(
    answer: Answer | UpstreamError, kind: ErrorKind
) -> None:
    made = rig(finding(answer))
    for _ in range(5):
        with pytest.raises(UpstreamError) as caught:
            await made.discoveries.ready(make_stored(1), PROVIDER)
        assert caught.value.kind is kind
    assert len(made.transport.sent) == 1
    made.clock.advance(31)
    made.transport.script = finding(told(LOADED))
    ready = await made.discoveries.ready(make_stored(1), PROVIDER)
    assert ready.account.metadata == {"project_id": "p-1"}


@pytest.mark.parametrize("changes", [{"updated_at": 5.0}, {"token_version": 1}])
async def test_an_account_that_was_changed_is_looked_at_again_at_once(
    changes: dict[str, float],
) -> None:
    made = rig(finding(told({}, 403)))
    with pytest.raises(UpstreamError):
        await made.discoveries.ready(make_stored(1), PROVIDER)
    made.transport.script = finding(told(LOADED))
    await made.discoveries.ready(make_stored(1, **changes), PROVIDER)


async def test_a_proxy_pays_once_for_a_failure_that_is_remembered() -> None:
    made = rig(finding(ConnectFailed("dead", blame=Blame.EGRESS)))
    blames = []
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            await made.discoveries.ready(make_stored(1), PROVIDER)
        blames.append(caught.value.blame)
    assert blames == [Blame.EGRESS, Blame.ACCOUNT]


async def test_what_the_database_does_not_take_is_used_all_the_same() -> None:
    made = rig(finding(told(LOADED)))
    made.metadata.error = StorageUnavailable("away")
    for _ in range(2):
        ready = await made.discoveries.ready(make_stored(1), PROVIDER)
        assert ready.account.metadata == {"project_id": "p-1"}
    assert len(made.transport.sent) == 1


async def test_a_credential_that_the_provider_repeats_is_not_told() -> None:
    made = rig(finding(told({"error": {"message": "bad key-1 here"}}, 400)))
    with pytest.raises(UpstreamError) as caught:
        await made.discoveries.ready(make_stored(1), PROVIDER)
    assert "key-1" not in caught.value.message


async def test_a_project_that_was_taken_away_is_looked_for_again() -> None:
    made = rig(finding(told(LOADED)))
    await made.discoveries.ready(make_stored(1), PROVIDER)
    await made.discoveries.ready(make_stored(1, metadata={"project_id": "p-1"}), PROVIDER)
    await made.discoveries.ready(make_stored(1), PROVIDER)
    assert len(made.transport.sent) == 2


async def test_a_failure_is_remembered_small_and_not_for_ever() -> None:
    made = rig(finding(told({"error": {"code": 403, "message": "no " + "x" * 500_000}}, 403)))
    for number in range(1, 4):
        with pytest.raises(UpstreamError):
            await made.discoveries.ready(make_stored(number), PROVIDER)
    known = made.discoveries._failures
    assert len(known) == 3
    assert all(one.error.upstream_body is None for one in known.values())
    assert all(one.error.__traceback__ is None for one in known.values())
    made.clock.advance(60.0)
    with pytest.raises(UpstreamError):
        await made.discoveries.ready(make_stored(4), PROVIDER)
    assert list(known) == [f"{4:032x}"]


async def test_a_token_that_a_provider_repeats_is_neither_told_nor_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = make_stored(1).credentials.access
    address = f"https://verify.test/?token={token}"
    tier: JsonObject = {"reasonCode": "VALIDATION_REQUIRED", "validationUrl": address}
    repeated: JsonObject = {
        "error": {"code": 403, "message": f"no {token}", "status": "PERMISSION_DENIED"}
    }
    for answer in (told({"ineligibleTiers": [tier]}), told(repeated, 403)):
        made = rig(finding(answer))
        with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamError) as caught:
            await made.discoveries.ready(make_stored(1), PROVIDER)
        assert token not in f"{caught.value} {caught.value.message} {caught.value.vendor_code}"
    logged = [f"{record.__dict__}" for record in caplog.records]
    assert len([line for line in logged if "account cannot be made ready" in line]) == 2
    assert [line for line in logged if token in line] == []
