"""What is left of an account's limits, as the headers of any answer tell it."""

from collections.abc import Iterator

import pytest
from multidict import CIMultiDict

from models.quota import QuotaWindow
from models.rest import family_scope
from providers import BUILTIN, anthropic, glm, openai
from providers.base import Provider
from tests.providers.blame.case import DAY, HOUR, NOW, epoch, stamp


def told(provider: Provider, headers: dict[str, str], model: str = "m") -> list[QuotaWindow]:
    return list(provider.read_quota(headers, model, NOW))


def window(model: str, name: str, used: float | None, resets_in_s: float | None) -> QuotaWindow:
    at = None if resets_in_s is None else NOW + resets_in_s
    return QuotaWindow("", model, name, used, resets_at=at, updated_at=NOW)


UNIFIED = "anthropic-ratelimit-unified-"
SUBSCRIPTION = {
    f"{UNIFIED}status": "allowed",
    f"{UNIFIED}reset": epoch(2 * HOUR),
    f"{UNIFIED}5h-status": "allowed",
    f"{UNIFIED}5h-utilization": "0.41",
    f"{UNIFIED}5h-reset": epoch(2 * HOUR),
    f"{UNIFIED}7d-utilization": "0.3",
    f"{UNIFIED}7d-reset": epoch(3 * DAY),
    f"{UNIFIED}7d_opus-utilization": "0.9",
    f"{UNIFIED}7d_opus-reset": epoch(3 * DAY),
    f"{UNIFIED}7d_oi-status": "rejected",
    f"{UNIFIED}overage-status": "rejected",
}


def test_anthropics_windows_are_the_accounts_or_a_familys() -> None:
    assert told(anthropic.PROVIDER, SUBSCRIPTION) == [
        window("*", "5h", 0.41, 2 * HOUR),
        window("*", "7d", 0.3, 3 * DAY),
        window(family_scope("opus"), "7d_opus", 0.9, 3 * DAY),
        window(family_scope("fable"), "7d_oi", 1.0, None),
    ]


def test_the_scopes_of_windows_are_those_of_the_models_they_limit() -> None:
    scopes = {one.model for one in told(anthropic.PROVIDER, SUBSCRIPTION)}
    for model in ("claude-opus-4-8", "claude-fable-5"):
        assert family_scope(anthropic.PROVIDER.family_of(model) or "") in scopes


def test_anthropics_limits_per_minute_are_counted() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": stamp(2),
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": stamp(40),
    }
    requests, tokens = told(anthropic.PROVIDER, headers, "claude-haiku-4-5")
    assert (requests.model, requests.window, requests.unit) == (
        "claude-haiku-4-5",
        "requests",
        "requests",
    )
    assert (requests.limit, requests.remaining) == (50, 49)
    assert requests.used_ratio == pytest.approx(0.02)
    assert (tokens.window, tokens.unit, tokens.used_ratio) == ("output-tokens", "tokens", 1.0)
    assert tokens.resets_at == NOW + 40


def test_openais_limits_are_counted_and_reset_after_a_duration() -> None:
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9000",
        "x-ratelimit-reset-requests": "8.64s",
        "x-ratelimit-limit-tokens": "0",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    requests, tokens = told(openai.PROVIDER, headers, "gpt-5.1")
    assert (requests.model, requests.window) == ("gpt-5.1", "requests")
    assert requests.used_ratio == pytest.approx(0.1)
    assert requests.resets_at == pytest.approx(NOW + 8.64)
    assert (tokens.used_ratio, tokens.resets_at) == (1.0, NOW + 360)


def test_openais_subscriptions_have_windows_by_their_length() -> None:
    headers = {
        "x-codex-primary-used-percent": "37.5",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-after-seconds": "600",
        "x-codex-secondary-used-percent": "104",
        "x-codex-secondary-window-minutes": "10080",
        "x-codex-secondary-reset-at": epoch(DAY),
    }
    assert told(openai.PROVIDER, headers) == [
        window("*", "5h", 0.375, 600),
        window("*", "7d", 1.04, DAY),
    ]
    headers |= {"x-codex-primary-window-minutes": "45", "x-codex-secondary-window-minutes": "x"}
    assert [one.window for one in told(openai.PROVIDER, headers)] == ["primary", "secondary"]


def test_the_names_of_headers_may_be_in_any_case_as_they_are_in_an_answer() -> None:
    headers = CIMultiDict({name.title(): text for name, text in SUBSCRIPTION.items()})
    assert len(anthropic.PROVIDER.read_quota(headers, "m", NOW)) == 4


def test_what_has_passed_is_no_reset() -> None:
    headers = {f"{UNIFIED}5h-utilization": "0.5", f"{UNIFIED}5h-reset": epoch(-1)}
    assert told(anthropic.PROVIDER, headers) == [window("*", "5h", 0.5, None)]


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda one: one.id)
def test_who_tells_nothing_in_headers_has_no_windows(provider: Provider) -> None:
    assert told(provider, {"content-type": "application/json", "retry-after": "3"}) == []
    if provider.id not in ("anthropic", "openai"):
        assert told(provider, SUBSCRIPTION) == []
    assert told(glm.PROVIDER, SUBSCRIPTION) == []


class _LookedUp(dict[str, str]):
    """Headers that count how often one is looked up, and cannot be gone through."""

    lookups = 0

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # as it is called
        self.lookups += 1
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("headers are looked up, not searched")


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda one: one.id)
def test_reading_looks_a_few_headers_up_however_many_there_are(provider: Provider) -> None:
    headers = _LookedUp(SUBSCRIPTION)
    provider.read_quota(headers, "claude-opus-4-8", NOW)
    assert headers.lookups <= 40


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-8", "opus"),
        ("claude-3-5-sonnet-latest", "sonnet"),
        ("anthropic/claude-haiku-4.5", "haiku"),
        ("claude-fable-5[1m]", "fable"),
        ("claude-opus-latest", "opus"),
        ("claude-zephyr-6", "zephyr"),
        ("claude-2.1", None),
        ("gpt-5.1", None),
        ("opus", None),
    ],
)
def test_claudes_families_are_known_by_their_names(model: str, family: str | None) -> None:
    assert anthropic.PROVIDER.family_of(model) == family


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-6-thinking", "guests"),
        ("gpt-oss-120b-medium", "guests"),
        ("gemini-3.1-pro-high", "gemini-pro"),
        ("gemini-2.5-pro", "gemini-pro"),
        ("gemini-3-flash", "gemini-flash"),
        ("gemini-2.5-flash-lite", "gemini-flash-lite"),
        ("gemini-exp", None),
        ("x", None),
    ],
)
def test_code_assists_families_are_those_that_share_a_quota(model: str, family: str | None) -> None:
    antigravity = next(provider for provider in BUILTIN if provider.id == "antigravity")
    assert antigravity.family_of(model) == family


@pytest.mark.parametrize("provider_id", ["openai", "glm", "gemini"])
def test_elsewhere_every_model_has_limits_of_its_own(provider_id: str) -> None:
    provider = next(provider for provider in BUILTIN if provider.id == provider_id)
    assert provider.family_of("gemini-3-flash") is None
    assert provider.family_of("gpt-5.1") is None
