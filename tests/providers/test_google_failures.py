"""What failures of Google's services mean: for the account, for the client, for the operator."""

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import JsonObject
from providers.google_failures import diagnose
from providers.waits import MAX_WAIT_S
from tests.providers.google_errors import TYPE, body, help_at, info, quota, retry

ACCOUNT, MODEL = Blame.ACCOUNT, Blame.ACCOUNT_MODEL


def failure(
    code: int, status: str, message: str = "m", *details: JsonObject, listed: bool = False
) -> UpstreamError:
    return diagnose(GEMINI, code, {}, body(code, status, message, *details, listed=listed))


@pytest.mark.parametrize("listed", [False, True], ids=["object", "list of one"])
@pytest.mark.parametrize(
    ("code", "status", "message", "reason", "kind", "blame"),
    [
        pytest.param(
            400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID",
            ErrorKind.UPSTREAM_AUTH, ACCOUNT, id="wrong key",
        ),
        pytest.param(
            400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "",
            ErrorKind.UPSTREAM_AUTH, ACCOUNT, id="old key, without a reason",
        ),
        pytest.param(
            401, "UNAUTHENTICATED", "m", "ACCESS_TOKEN_EXPIRED",
            ErrorKind.UPSTREAM_AUTH, ACCOUNT, id="old token",
        ),
        pytest.param(
            403, "PERMISSION_DENIED", "Your API key was reported as leaked.", "",
            ErrorKind.UPSTREAM_AUTH, ACCOUNT, id="leaked key",
        ),
        pytest.param(
            403, "PERMISSION_DENIED", "m", "SERVICE_DISABLED",
            ErrorKind.PERMISSION, ACCOUNT, id="API not enabled",
        ),
        pytest.param(
            403, "PERMISSION_DENIED", "m", "CONSUMER_SUSPENDED",
            ErrorKind.PERMISSION, ACCOUNT, id="suspended",
        ),
        pytest.param(
            403, "PERMISSION_DENIED", "m", "VALIDATION_REQUIRED",
            ErrorKind.PERMISSION, ACCOUNT, id="to be verified",
        ),
        pytest.param(
            403, "PERMISSION_DENIED", "m", "",
            ErrorKind.PERMISSION, MODEL, id="forbidden, for whatever reason",
        ),
        pytest.param(
            400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "",
            ErrorKind.PERMISSION, ACCOUNT, id="wrong country",
        ),
        pytest.param(
            400, "FAILED_PRECONDITION", "Please enable billing on project x-123.", "",
            ErrorKind.BILLING, ACCOUNT, id="no billing",
        ),
        pytest.param(
            404, "NOT_FOUND", "models/x is not found", "",
            ErrorKind.MODEL_NOT_FOUND, MODEL, id="no such model",
        ),
        pytest.param(
            503, "UNAVAILABLE", "The model is overloaded.", "",
            ErrorKind.OVERLOADED, MODEL, id="overloaded",
        ),
        pytest.param(
            429, "RESOURCE_EXHAUSTED", "m", "MODEL_CAPACITY_EXHAUSTED",
            ErrorKind.OVERLOADED, MODEL, id="no machines left",
        ),
        pytest.param(
            429, "RESOURCE_EXHAUSTED", "m", "QUOTA_EXHAUSTED",
            ErrorKind.QUOTA, MODEL, id="quota of a model",
        ),
        pytest.param(
            429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", "",
            ErrorKind.RATE_LIMIT, MODEL, id="a limit, no more is known",
        ),
        pytest.param(
            400, "INVALID_ARGUMENT", "Unknown name \"x\": Cannot find field.", "",
            ErrorKind.INVALID_REQUEST, Blame.REQUEST, id="bad body",
        ),
        pytest.param(
            400, "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).", "",
            ErrorKind.CONTEXT_LENGTH, Blame.REQUEST, id="too long",
        ),
    ],
)  # fmt: skip
def test_reasons_and_texts_decide(
    code: int, status: str, message: str, reason: str, kind: ErrorKind, blame: Blame, listed: bool
) -> None:
    details = [info(reason)] if reason else []
    error = failure(code, status, message, *details, listed=listed)
    assert (error.kind, error.blame) == (kind, blame)
    assert error.retryable is (blame is not Blame.REQUEST)
    assert error.vendor_code == (reason or status)


@pytest.mark.parametrize(
    ("details", "message", "kind", "wait_s"),
    [
        pytest.param(
            [quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry("34.07s")],
            "m", ErrorKind.RATE_LIMIT, 34.07, id="a minute's, with its delay",
        ),
        pytest.param(
            [quota("GenerateContentInputTokensPerModelPerMinute-FreeTier")],
            "m", ErrorKind.RATE_LIMIT, 60.0, id="a minute's, without",
        ),
        pytest.param(
            [info("RATE_LIMIT_EXCEEDED", quota_limit="GenerateRequestsPerMinute")],
            "m", ErrorKind.RATE_LIMIT, 60.0, id="a minute's, in the metadata",
        ),
        pytest.param(
            [retry("900ms")], "Please retry in 20.04s.",
            ErrorKind.RATE_LIMIT, 0.9, id="the exact word first",
        ),
        pytest.param([], "Please retry in 20.04s.", ErrorKind.RATE_LIMIT, 20.04, id="in the text"),
        pytest.param([retry("soon")], "m", ErrorKind.RATE_LIMIT, None, id="no duration"),
        pytest.param([retry("301s")], "m", ErrorKind.QUOTA, 301.0, id="too long to be a pace"),
        pytest.param(
            [info("QUOTA_EXHAUSTED", quotaResetDelay="2h14m3.5s")],
            "m", ErrorKind.QUOTA, 8043.5, id="Go's duration",
        ),
        pytest.param(
            [], "Your quota will reset after 1h2m3s.", ErrorKind.QUOTA, 3723.0, id="in words",
        ),
        pytest.param(
            [retry("99999999s")], "m", ErrorKind.QUOTA, MAX_WAIT_S, id="longer than anything",
        ),
    ],
)  # fmt: skip
def test_limits_last_as_long_as_was_said(
    details: list[JsonObject], message: str, kind: ErrorKind, wait_s: float | None
) -> None:
    error = failure(429, "RESOURCE_EXHAUSTED", message, *details)
    assert (error.kind, error.blame, error.status) == (kind, MODEL, 429)
    assert error.retry_after_s == (None if wait_s is None else pytest.approx(wait_s))


def test_a_reset_may_be_told_as_an_instant() -> None:
    opens = datetime.fromtimestamp(time.time() + 7200, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    error = failure(
        429, "RESOURCE_EXHAUSTED", "m", info("QUOTA_EXHAUSTED", quotaResetTimeStamp=opens)
    )
    assert error.retry_after_s == pytest.approx(7200, abs=5)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        pytest.param(
            [quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry("20s")],
            "m", id="a day's, whatever delay stands beside it",
        ),
        pytest.param(
            [quota("GenerateRequestsPerMinute", "GenerateRequestsPerDay")], "m", id="both"
        ),
        pytest.param([retry("20s")], "Quota exceeded for metric x, limit: 0", id="none at all"),
    ],
)  # fmt: skip
def test_a_days_quota_lasts_until_midnight_in_california(
    details: list[JsonObject], message: str
) -> None:
    error = failure(429, "RESOURCE_EXHAUSTED", message, *details)
    assert (error.kind, error.blame) == (ErrorKind.QUOTA, MODEL)
    assert error.retry_after_s is not None
    opens = datetime.fromtimestamp(time.time() + error.retry_after_s + 30, UTC)
    assert (opens.hour, opens.minute) in ((7, 0), (8, 0))


def test_a_limit_of_some_is_not_one_of_none() -> None:
    error = failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 05, please wait")
    assert error.kind is ErrorKind.RATE_LIMIT


def test_what_claude_said_behind_google_is_taken_out() -> None:
    said = {"type": "invalid_request_error", "message": "tools.0: Field required"}
    inner = json.dumps({"type": "error", "error": said, "request_id": "req_1"})
    error = failure(400, "INVALID_ARGUMENT", f"upstream: {inner}")
    assert (error.message, error.status) == ("tools.0: Field required", 400)
    assert (error.kind, error.blame) == (ErrorKind.INVALID_REQUEST, Blame.REQUEST)
    said["message"] = "prompt is too long: 9 tokens > 8 maximum"
    long = failure(400, "INVALID_ARGUMENT", json.dumps({"type": "error", "error": said}))
    assert long.kind is ErrorKind.CONTEXT_LENGTH


def test_the_operator_alone_learns_where_to_go_and_which_project_it_is() -> None:
    address = "https://accounts.google.com/verify?plt=abc"
    error = failure(
        403,
        "PERMISSION_DENIED",
        f"Enable it in project 123456789 by visiting {address} then retry. projects/my-proj-1",
        info("VALIDATION_REQUIRED"),
        help_at(address, "https://support.test/more"),
    )
    assert error.remedy == f"VALIDATION_REQUIRED: {address}"
    assert "http" not in error.message
    assert "123456789" not in error.message
    assert "my-proj" not in error.message
    linked = failure(
        403, "PERMISSION_DENIED", "m", info("VALIDATION_REQUIRED", validation_link=address)
    )
    assert linked.remedy == f"VALIDATION_REQUIRED: {address}"
    mine = failure(400, "INVALID_ARGUMENT", "see https://ai.test/docs", help_at(address))
    assert mine.remedy is None
    assert "https://ai.test/docs" in mine.message


def test_a_header_wins_over_the_body() -> None:
    told = body(429, "RESOURCE_EXHAUSTED", "m", retry("20s"))
    assert diagnose(GEMINI, 429, {"Retry-After": "7"}, told).retry_after_s == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KINDS = st.sampled_from(["ErrorInfo", "RetryInfo", "QuotaFailure", "Help", "x"])
NAMES = ("reason", "metadata", "retryDelay", "violations", "links", "domain")
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"@type": KINDS.map(lambda kind: TYPE + kind)}, optional=dict.fromkeys(NAMES, JSON)
    )
)


@given(st.sampled_from([200, 400, 403, 429, 503]), JSON | DETAILS, JSON, JSON)
def test_no_details_make_it_fail(
    code: int, details: object, message: object, status: object
) -> None:
    told = json.dumps({"error": {"details": details, "message": message, "status": status}})
    error = diagnose(GEMINI, code, {}, told.encode())
    assert error.message
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= MAX_WAIT_S
