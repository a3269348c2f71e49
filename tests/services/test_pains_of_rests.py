"""What users of other pools suffered from pauses: missing, too long, or given to the wrong.

The numbers are those of the list of pains that this project keeps.
"""

import json
from collections.abc import Mapping

from dialects import DIALECTS
from models.account import AuthType
from models.errors import UpstreamError
from models.rest import EVERY_MODEL
from providers import BUILTIN
from providers.base import Route
from services.cooldown import Attempted, scopes_of
from services.pauses import Pauses
from tests.services.resting_rig import Desk, broken, limited, overloaded, unreachable, used_up

HOUR = 3_600.0
DAY = 24 * HOUR
BY_ID = {provider.id: provider for provider in BUILTIN}


def told(
    desk: Desk,
    provider_id: str,
    dialect: str,
    model: str,
    status: int,
    headers: Mapping[str, str],
    body: object,
) -> UpstreamError:
    """Let a built-in provider's account `acc-1` fail with an answer, and return what it means."""
    provider = BY_ID[provider_id]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = provider.diagnose(DIALECTS[dialect], status, headers, content)
    what = Attempted("acc-1", AuthType.OAUTH, None, Route(provider, model), 10)
    desk.cooldowns.failed(what, error)
    return error


def rests_s(desk: Desk, provider_id: str, model: str) -> float:
    """How long `acc-1` rests for a model; 0 when it does not."""
    scopes = scopes_of(Route(BY_ID[provider_id], model))
    rest = desk.cooldowns.found("acc-1", scopes, desk.clock.now())
    return 0.0 if rest is None else rest.until - desk.clock.now()


def test_pain_10_an_exhausted_account_is_not_hammered_when_the_body_names_its_reset() -> None:
    desk = Desk()
    body = {"error": {"type": "usage_limit_reached", "message": "x", "resets_in_seconds": 7_200}}
    told(desk, "openai", "responses", "gpt-5.5-codex", 429, {}, body)
    assert 7_200 <= rests_s(desk, "openai", "gpt-5.5-codex") <= 7_231


def test_pain_11_a_hint_of_days_is_clamped_and_tried_every_quarter_of_an_hour() -> None:
    desk = Desk()
    rest = desk.failed(limited(retry_after_s=18 * DAY))
    assert rest is not None
    assert desk.lasts_s(rest) == 6 * HOUR
    assert rest.trial_at == desk.clock.now() + 900
    desk.clock.advance(900)
    desk.succeeded()
    assert desk.rest() is None


def test_pain_12_a_limit_of_the_account_is_met_once_and_not_by_every_model() -> None:
    desk = Desk()
    desk.failed(used_up(5 * HOUR), model="one")
    assert desk.is_benched(model="another")


def test_pain_13_a_burst_is_not_read_as_a_used_up_window() -> None:
    """Reset headers are always there; the window says that it allows more."""
    desk = Desk()
    reset = str(int(desk.clock.now() + 4 * HOUR))
    headers = {
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-reset": reset,
        "anthropic-ratelimit-unified-5h-status": "allowed",
        "anthropic-ratelimit-unified-5h-utilization": "0.31",
        "anthropic-ratelimit-unified-5h-reset": reset,
    }
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    told(desk, "anthropic", "messages", "claude-sonnet-5", 429, headers, body)
    assert 0 < rests_s(desk, "anthropic", "claude-sonnet-5") < 60


def test_pain_14_the_pause_without_a_hint_is_short_and_can_be_set() -> None:
    for seconds in (0.5, 5.0, 7_200.0):
        desk = Desk(pauses=Pauses(rate_limited_s=seconds))
        assert desk.lasts_s(desk.failed(limited())) == seconds


def test_pain_15_a_503_does_not_collapse_a_pool_of_four() -> None:
    desk = Desk()
    for second in range(17):
        for number in range(4):
            desk.failed(overloaded(retry_after_s=600), f"acc-{number}", peers=4)
        assert sum(desk.is_benched(f"acc-{number}") for number in range(4)) <= 2, second
        desk.clock.advance(1)
    assert not any(desk.is_benched(f"acc-{number}") for number in range(4))


def test_pain_16_a_block_page_is_held_against_the_proxy_and_not_against_the_account() -> None:
    desk, provider = Desk(), BY_ID["anthropic"]
    page = b"<!doctype html><title>Attention Required</title>"
    headers = {"content-type": "text/html"}
    error = provider.diagnose(DIALECTS["messages"], 403, headers, page)
    for number in range(3):
        what = Attempted(f"acc-{number}", AuthType.OAUTH, "proxy", Route(provider, "m"), 10)
        desk.cooldowns.failed(what, error)
    assert [rest.subject for rest in desk.cooldowns.active(desk.clock.now())] == ["proxy"]


def test_pain_19_one_blip_benches_nobody_and_who_was_benched_comes_back_by_itself() -> None:
    desk = Desk()
    assert desk.failed(broken()) is None
    assert desk.failed(broken()) is not None
    desk.clock.advance(10)
    assert not desk.is_benched()
    desk.succeeded()
    assert desk.rest() is None


def test_pain_39_a_dead_proxy_is_charged_itself_and_left_alone_for_seconds_at_first() -> None:
    desk = Desk()
    for number in range(3):
        desk.failed(unreachable(), f"acc-{number}", proxy_id="proxy")
    rest = desk.cooldowns.found("proxy", (EVERY_MODEL,), desk.clock.now())
    assert desk.lasts_s(rest) == 30
    assert not any(desk.is_benched(f"acc-{number}") for number in range(3))
    desk.clock.advance(30)
    desk.succeeded("acc-1", proxy_id="proxy")
    assert desk.cooldowns.active(desk.clock.now()) == []
