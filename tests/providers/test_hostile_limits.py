"""Whatever stands in headers and bodies: reading never fails, and no pause is absurd."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.json_types import Json, JsonObject
from providers import BUILTIN
from providers.base import Provider
from providers.waits import MAX_WAIT_S
from tests.providers.blame.case import NOW, claude, gpt, zhipu
from tests.providers.google_errors import TYPE

EVERY = pytest.mark.parametrize("provider", BUILTIN, ids=lambda one: one.id)

WINDOWS = ("5h", "7d", "7d_opus", "7d_oi", "overage", "")
NAMES = [
    "retry-after",
    "retry-after-ms",
    "date",
    "content-type",
    "anthropic-ratelimit-unified-representative-claim",
    *(
        f"anthropic-ratelimit-unified-{window}-{what}".replace("--", "-")
        for window in WINDOWS
        for what in ("status", "reset", "utilization")
    ),
    *(
        f"anthropic-ratelimit-{unit}-{what}"
        for unit in ("requests", "tokens", "input-tokens")
        for what in ("limit", "remaining", "reset")
    ),
    *(
        f"x-ratelimit-{what}-{unit}"
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    ),
    *(
        f"x-codex-{which}-{what}"
        for which in ("primary", "secondary")
        for what in ("used-percent", "window-minutes", "reset-at", "reset-after-seconds")
    ),
]
VALUES = [
    *("rejected", "allowed", "seven_day_opus", "0", "1", "1.0", "100", "-1", "-0", "NaN", "inf"),
    *("-inf", "1e309", "1e308", "9" * 18, "9" * 400, "0x10", "1_000", "\u0661\u0662", "", " "),
    *("2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-13-99T99:99:99Z", "1h", "99999h"),
    *("9" * 12, "253402300799", "1795262400", "Fri, 31 Dec 9999 23:59:59 GMT", "x" * 100_000),
]
HEADERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=12))
ODD: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(VALUES),
    st.just({}),
    st.just([None]),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a body of some provider's form with odd values where times are told."""
    error: JsonObject = {
        "type": draw(st.sampled_from(["usage_limit_reached", "rate_limit_error"])),
        "message": draw(st.sampled_from(["Please try again in 9999999h.", "reset at", *VALUES])),
        "status": "RESOURCE_EXHAUSTED",
        "code": draw(ODD | st.sampled_from(["1308", "1310", "insufficient_quota"])),
        "resets_at": draw(ODD),
        "resets_in_seconds": draw(ODD),
        "details": [
            {"@type": f"{TYPE}RetryInfo", "retryDelay": draw(ODD)},
            {
                "@type": f"{TYPE}ErrorInfo",
                "reason": draw(st.sampled_from(["QUOTA_EXHAUSTED", "x"])),
                "metadata": {
                    "model": draw(ODD),
                    "quotaResetDelay": draw(ODD),
                    "quotaResetTimeStamp": draw(ODD),
                },
            },
        ],
    }
    payload: JsonObject = {"error": error, "headers": draw(ODD), "status_code": draw(ODD)}
    return json.dumps(payload).encode()


def is_sane(seconds: float | None) -> bool:
    return seconds is None or 0 <= seconds <= MAX_WAIT_S


@EVERY
@given(st.sampled_from([200, 400, 403, 429, 503, 529]), HEADERS, bodies())
def test_no_value_makes_diagnosis_fail_or_a_pause_absurd(
    provider: Provider, status: int, headers: dict[str, str], body: bytes
) -> None:
    for dialect in {offer.dialect.name: offer.dialect for offer in provider.offers}.values():
        error = provider.diagnose(dialect, status, headers, body)
        assert is_sane(error.pause_s)
        assert is_sane(error.retry_after_s)
        assert 400 <= error.status < 600
        assert error.evidence


@EVERY
@given(HEADERS, st.text(max_size=20))
def test_no_value_makes_the_reading_of_quotas_fail_or_odd(
    provider: Provider, headers: dict[str, str], model: str
) -> None:
    for window in provider.read_quota(headers, model, NOW):
        assert window.used_ratio is None or 0 <= window.used_ratio <= 10
        assert window.resets_at is None or NOW < window.resets_at <= NOW + MAX_WAIT_S
        for count in (window.limit, window.remaining):
            assert count is None or 0 <= count <= 10**15
        assert window.account_id == ""
    family = provider.family_of(model)
    assert family is None or 0 < len(family) <= 20


@pytest.mark.parametrize("name", NAMES)
def test_a_header_of_100_kb_is_read_before_the_test_times_out(name: str) -> None:
    for provider in BUILTIN:
        for body in (claude("rate_limit_error"), gpt("requests", "slow_down"), zhipu("1302")):
            headers = {name: "9 " * 50_000}
            error = provider.diagnose(provider.main.dialect, 429, headers, body)
            assert error.retry_after_s is None or math.isfinite(error.retry_after_s)
            provider.read_quota(headers, "m", NOW)


@EVERY
@pytest.mark.parametrize(
    "message", ["'" * 100_000, "in " * 50_000, "`'\"" * 30_000, "1h" * 50_000, "[" * 100_000]
)
def test_a_message_of_100_kb_is_read_before_the_test_times_out(
    provider: Provider, message: str
) -> None:
    for status in (400, 403, 429):
        for body in (claude("rate_limit_error", message), zhipu("1308", message)):
            provider.diagnose(provider.main.dialect, status, {}, body)
