"""What clients are told when nobody could serve: counts, recovery, and what was tried."""

from collections.abc import Callable

import pytest
from aiohttp import ClientResponse

from models.errors import ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from models.rest import EVERY_MODEL, Rest
from tests.builders import make_stored
from tests.fakes.transport import Answer, Sent, whole
from tests.handlers.model_api import ADMIN_KEY, KEY, serving
from tests.services.executor_rig import Rig

pytestmark = pytest.mark.usefixtures("way")

PATHS = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/gpt-5:generateContent",
}
BODIES: dict[str, JsonObject] = {
    "messages": {
        "model": "gpt-5",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "chat": {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "gpt-5", "input": "hi"},
    "gemini": {"contents": [{"parts": [{"text": "hi"}]}]},
}


def resting_rig(*seconds: float) -> Rig:
    """A pool of which everybody rests."""
    rig = Rig(lambda _: whole(b"{}"), len(seconds))
    now = rig.clock.now()
    for number, one in enumerate(seconds, 1):
        rig.cooldowns.begin(
            Rest(f"{number:032x}", EVERY_MODEL, now, now + one, ErrorKind.RATE_LIMIT)
        )
    return rig


async def error_of(response: ClientResponse) -> JsonObject:
    payload = await response.json()
    error = payload["error"]
    assert isinstance(error, dict)
    return error


def details_of(dialect: str, error: JsonObject) -> Json:
    """Return where the format keeps what is told besides the message."""
    match dialect:
        case "messages":
            return error["details"]
        case "gemini":
            details = error["details"]
            assert isinstance(details, list)
            info = details[0]
            assert isinstance(info, dict)
            return info["metadata"]
        case _:
            names = ("reasons", "earliest_recovery", "attempts")
            return {name: error[name] for name in names if name in error}


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_pool_that_rests_says_how_many_why_and_until_when(dialect: str) -> None:
    async with serving(resting_rig(60, 90)) as served:
        told = await served.call("POST", PATHS[dialect], BODIES[dialect])
        assert (told.status, told.headers["retry-after"]) == (429, "60")
        error = await error_of(told)
    assert "2 cooling_rate_limit" in str(error["message"])
    recovery = "2027-01-15T08:01:00.000Z"
    if dialect == "gemini":
        wanted: Json = {"cooling_rate_limit": "2", "earliest_recovery": recovery}
        assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "60s"} in list(
            error["details"]  # type: ignore[arg-type] # a list, as shown
        )
    else:
        wanted = {"reasons": {"cooling_rate_limit": 2}, "earliest_recovery": recovery}
    assert details_of(dialect, error) == wanted


def failing(*errors: UpstreamError) -> Callable[[Sent], Answer | UpstreamError]:
    left = list(errors)
    return lambda _: left.pop(0)


def limited() -> UpstreamError:
    return UpstreamError(
        "slow down",
        kind=ErrorKind.RATE_LIMIT,
        status=429,
        upstream_status=429,
        retry_after_s=30,
    )


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("key", [KEY, ADMIN_KEY])
async def test_pain_17_an_error_of_the_pool_carries_what_was_tried(dialect: str, key: str) -> None:
    rig = Rig(failing(limited(), limited()), 2)
    async with serving(rig) as served:
        told = await served.call("POST", PATHS[dialect], BODIES[dialect], key=key)
        assert (told.status, told.headers["retry-after"]) == (429, "30")
        details = details_of(dialect, await error_of(told))
    assert isinstance(details, dict)
    ids = [make_stored(number).account.id for number in (1, 2)]
    is_admin = key == ADMIN_KEY
    if dialect == "gemini":
        names = [f"{one} " if is_admin else "" for one in ids]
        assert [details["attempt 1"], details["attempt 2"]] == [
            f"openai gpt-5 {name}rate_limit" for name in names
        ]
        return
    attempts = details["attempts"]
    assert isinstance(attempts, list)
    assert [one for one in attempts if isinstance(one, dict)] == [
        {
            "provider": "openai",
            "model": "gpt-5",
            **({"account": account_id} if is_admin else {}),
            "status": None,
            "error": "rate_limit",
        }
        for account_id in ids
    ]
    assert is_admin or not any(account_id in str(details) for account_id in ids)


async def test_pain_17_the_providers_own_word_beats_that_of_the_pool() -> None:
    """An account that answered 520 says more than those that rest."""
    error = UpstreamError("origin is down", upstream_status=520)
    rig = Rig(failing(error), 2)
    now = rig.clock.now()
    rig.cooldowns.begin(Rest(f"{2:032x}", EVERY_MODEL, now, now + 60, ErrorKind.RATE_LIMIT))
    async with serving(rig) as served:
        told = await served.call("POST", PATHS["chat"], BODIES["chat"])
    assert told.status == 502
    assert "origin is down" in await told.text()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refusal_without_a_time_says_when_to_come_again_all_the_same(status: int) -> None:
    kind = ErrorKind.BILLING if status == 429 else ErrorKind.OVERLOADED
    error = UpstreamError("no", kind=kind, status=status, upstream_status=status)
    async with serving(Rig(failing(error), 1)) as served:
        told = await served.call("POST", PATHS["chat"], BODIES["chat"])
        assert told.status == status
        assert int(told.headers["retry-after"]) > 0


async def test_the_requests_own_fault_says_nothing_of_the_pool() -> None:
    error = UpstreamError("bad", kind=ErrorKind.INVALID_REQUEST, status=400, retryable=False)
    async with serving(Rig(failing(error), 2)) as served:
        told = await served.call("POST", PATHS["chat"], BODIES["chat"])
        assert told.status == 400
        assert "attempts" not in await error_of(told)
