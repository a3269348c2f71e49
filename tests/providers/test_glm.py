"""GLM: its error codes."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import Json
from providers.glm import diagnose


def failure(code: Json, message: str = "m", status: int = 429) -> UpstreamError:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return diagnose(CHAT, status, {}, body)


@pytest.mark.parametrize(
    ("codes", "kind", "blame", "retryable", "status"),
    [
        ("1000 1001 1002 1003 1004", ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT, True, 502),
        ("500 1100 1200 1230 1234", ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, True, 502),
        ("1110 1111 1112 1120 1121", ErrorKind.PERMISSION, Blame.ACCOUNT, True, 502),
        ("1220 1311", ErrorKind.PERMISSION, Blame.ACCOUNT_MODEL, True, 502),
        ("1113 1309", ErrorKind.BILLING, Blame.ACCOUNT, True, 402),
        ("1210 1212 1213 1214 1215", ErrorKind.INVALID_REQUEST, Blame.REQUEST, False, 400),
        # Another provider of the same prefix may have the model, as with every vendor's 404.
        ("1211 1221 1222", ErrorKind.MODEL_NOT_FOUND, Blame.ACCOUNT_MODEL, True, 404),
        ("1231", ErrorKind.CONFLICT, Blame.ACCOUNT_MODEL, True, 409),
        ("1261", ErrorKind.CONTEXT_LENGTH, Blame.REQUEST, False, 400),
        ("1300 1301", ErrorKind.CONTENT_POLICY, Blame.REQUEST, False, 400),
        ("1302 1303", ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, True, 429),
        ("1305", ErrorKind.OVERLOADED, Blame.PROVIDER, True, 503),
        ("1312", ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL, True, 503),
        ("1304 1308 1310 1316 1321", ErrorKind.QUOTA, Blame.ACCOUNT, True, 429),
        ("1313", ErrorKind.RATE_LIMIT, Blame.ACCOUNT, True, 429),
    ],
)
def test_codes_come_first(
    codes: str, kind: ErrorKind, blame: Blame, retryable: bool, status: int
) -> None:
    for code in codes.split():
        error = failure(code)
        assert (error.kind, error.blame, error.retryable) == (kind, blame, retryable), code
        assert error.vendor_code == code
        assert error.status == status
        # Numbers, the other error shape and HTTP 200 say the same.
        assert failure(int(code)).kind is kind
        other = json.dumps({"code": int(code), "msg": "m", "success": False}).encode()
        assert diagnose(CHAT, 200, {}, other).kind is kind


def test_bad_requests_keep_a_sensible_status() -> None:
    assert failure("1214", status=400).status == 400
    assert failure("1214", status=200).status == 400
    long = failure("1210", "tokens in request more than max tokens allowed", 400)
    assert (long.kind, long.status) == (ErrorKind.CONTEXT_LENGTH, 400)


def test_an_unknown_code_is_judged_by_the_status() -> None:
    assert failure("4711", status=429).kind is ErrorKind.RATE_LIMIT
    assert failure("4711", status=434).kind is ErrorKind.PERMISSION
    assert failure("4711", status=435).kind is ErrorKind.TOO_LARGE
    assert diagnose(CHAT, 500, {}, b"oops").kind is ErrorKind.UPSTREAM


@pytest.mark.parametrize(
    "wording",
    [
        "Usage limit reached for 5 hour. Your limit will reset at {}",
        "Weekly/Monthly Limit Exhausted. Your limit will reset at {}.",
        "您的使用额度已达上限, {} 重置",
    ],
)
def test_resets_in_texts_are_beijing_time(wording: str) -> None:
    opens = datetime.now(UTC) + timedelta(hours=2)
    text = (opens + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    waits = failure("1308", wording.format(text)).retry_after_s
    assert waits == pytest.approx(7200, abs=60)


def test_without_a_time_to_come_there_is_a_default() -> None:
    assert failure("1308", "limit, reset at 2020-01-01 00:00:00").retry_after_s == 300
    assert failure("1310", "limit").retry_after_s == 300
    daily = failure("1304").retry_after_s
    assert daily is not None
    assert 0 < daily <= 86_400
    midnight = datetime.fromtimestamp(time.time() + daily, UTC) + timedelta(hours=8, seconds=30)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert failure("1302").retry_after_s is None


def test_a_header_beats_every_default() -> None:
    body = json.dumps({"error": {"code": "1308", "message": "m"}}).encode()
    assert diagnose(CHAT, 429, {"Retry-After": "7"}, body).retry_after_s == 7


def test_the_messages_endpoint_has_its_code_in_the_text() -> None:
    message = "[1310][Weekly/Monthly Limit Exhausted. Your limit will reset soon]"
    payload = {"type": "error", "error": {"type": "rate_limit_error", "message": message}}
    error = diagnose(MESSAGES, 429, {}, json.dumps(payload).encode())
    assert (error.kind, error.retry_after_s) == (ErrorKind.QUOTA, 300)
