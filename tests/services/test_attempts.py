"""What calls of a provider say of it: to the breaker, to who pays, to the client."""

from dataclasses import replace

import pytest

from models.account import AuthType
from models.errors import ConnectionLost, ErrorKind, NoCapacity, UpstreamError
from models.rest import EVERY_MODEL, Rest, origin
from services.answers import Limits
from tests.builders import assigned, make_egress, make_provider, make_stored
from tests.fakes.formats.chat import chat_stream
from tests.fakes.provider import error_body
from tests.fakes.scenarios import Scenario
from tests.fakes.sink import poured
from tests.fakes.transport import Answer, Sent, streamed, whole
from tests.services.executor_rig import Rig, chat_answer, make_request

PAGE = whole(b"<!DOCTYPE html><html><h1>502 Bad Gateway</h1></html>", 502, content_type="text/html")


def address(rig: Rig) -> str:
    """The subject that means the provider's address."""
    provider = next(iter(rig.snapshot.providers.values()))
    return origin(provider.id, provider.main.base_url)


def half_open(rig: Rig) -> None:
    """The provider was down; one request may try it now."""
    now = rig.clock.now()
    down = Rest(address(rig), EVERY_MODEL, now - 3, now - 1, ErrorKind.UPSTREAM, "down", strikes=1)
    rig.cooldowns.begin(down)


def is_left_alone(rig: Rig) -> bool:
    return rig.cooldowns.found(address(rig), (EVERY_MODEL,), rig.clock.now()) is not None


# --- the breaker ----------------------------------------------------------------------------


async def test_connections_that_were_idle_for_too_long_open_no_breaker() -> None:
    rig = Rig(lambda _: ConnectionLost("gone"), 1)

    def once_gone(sent: Sent) -> Answer | UpstreamError:
        is_first = len(rig.transport.sent) % 2 == 1
        return ConnectionLost("gone") if is_first else chat_answer(sent)

    rig.transport.script = once_gone
    for _ in range(30):
        assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    assert not is_left_alone(rig)
    assert rig.rests == {}


async def test_a_provider_that_always_hangs_up_opens_it_by_the_second_time_of_each_request() -> (
    None
):
    rig = Rig(lambda _: ConnectionLost("gone"), 5)
    for _ in range(4):
        with pytest.raises((UpstreamError, NoCapacity)):
            await rig.ask(make_request())
    assert is_left_alone(rig)
    # One more for each request than the ten that count.
    assert len(rig.transport.sent) <= 13


async def test_while_a_stream_tries_a_provider_the_others_wait_for_its_beginning_only() -> None:
    long = streamed(chat_stream(Scenario(text=("w\xf6rld", " and", " more")), include_usage=True))
    rig = Rig(lambda sent: long if len(rig.transport.sent) == 1 else chat_answer(sent), 2)
    half_open(rig)
    reply = await rig.open(make_request(stream=True))
    assert reply.stream is not None
    assert not is_left_alone(rig)
    assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    assert (await poured(reply)).endswith(b"data: [DONE]\n\n")


async def test_who_tries_a_provider_may_call_it_twice_with_a_refreshed_token() -> None:
    rig = Rig(
        lambda sent: whole(b"{}", 401) if sent.key == "key-1" else chat_answer(sent),
        [make_stored(1, auth_type=AuthType.OAUTH)],
    )
    rig.tokens.fresh = ["new"]
    half_open(rig)
    assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    assert rig.transport.keys == ["key-1", "new"]
    assert not is_left_alone(rig)


async def test_who_tries_a_provider_over_a_stale_connection_may_call_it_again() -> None:
    rig = Rig(lambda _: ConnectionLost("gone"), 1)
    rig.transport.script = lambda sent: (
        ConnectionLost("gone") if len(rig.transport.sent) == 1 else chat_answer(sent)
    )
    half_open(rig)
    assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    assert not is_left_alone(rig)


async def test_what_the_provider_said_is_told_rather_than_that_it_is_left_alone_since() -> None:
    rig = Rig(lambda _: whole(error_body("chat", 500), 500), 30)
    told = []
    for _ in range(4):
        with pytest.raises((UpstreamError, NoCapacity)) as caught:
            await rig.ask(make_request())
        told.append((caught.value.status, len(rig.record.tries)))
    # Four calls each; the third request opens it with its second and learns it with its third.
    assert told == [(502, 4), (502, 4), (502, 3), (503, 1)]
    assert len(rig.transport.sent) == 10


async def test_an_address_that_is_always_passed_over_is_left_alone() -> None:
    provider = make_provider()
    offer = replace(provider.main, mirrors=("http://second.test",))
    rig = Rig(lambda _: whole(b"", 500), 2, providers=[replace(provider, offers=(offer,))])
    rig.transport.script = lambda sent: (
        chat_answer(sent) if "second.test" in sent.request.url else whole(b"", 503)
    )
    for _ in range(30):
        assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    first = [sent for sent in rig.transport.sent if "second.test" not in sent.request.url]
    assert len(first) == 10
    assert is_left_alone(rig)


# --- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 429, 502, 503])
async def test_a_page_that_came_without_a_proxy_is_as_good_as_a_500(status: int) -> None:
    page = whole(b"<html><h1>Attention Required</h1></html>", status, content_type="text/html")
    rig = Rig(lambda _: page, 30)
    with pytest.raises(UpstreamError) as caught:
        await rig.ask(make_request())
    assert (caught.value.status, caught.value.kind) == (502, ErrorKind.UPSTREAM)
    assert len(rig.transport.sent) == Limits().max_attempts
    assert {(row.error_kind, row.blame) for row in rig.record.tries} == {
        ("upstream_error", "provider")
    }
    for _ in range(2):
        with pytest.raises((UpstreamError, NoCapacity)):
            await rig.ask(make_request())
    assert is_left_alone(rig)
    assert rig.cooldowns.active(rig.clock.now())[0].subject == address(rig)


async def test_a_page_that_came_through_a_proxy_is_the_proxys_and_costs_no_attempt() -> None:
    proxies = [make_egress(number, f"http://127.0.0.1:{number}") for number in range(1, 7)]
    accounts = [
        assigned(make_stored(number), proxy) for number, proxy in enumerate(proxies, start=1)
    ]
    rig = Rig(
        lambda sent: chat_answer(sent) if sent.key == "key-6" else PAGE, accounts, proxies=proxies
    )
    assert b"w\xc3\xb6rld" in await rig.ask(make_request())
    assert rig.transport.keys == [f"key-{number}" for number in range(1, 7)]
    assert {row.blame for row in rig.record.tries[:-1]} == {"egress"}
    assert not is_left_alone(rig)
