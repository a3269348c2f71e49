"""The exact forms of error answers, and logs that show no failure of ours."""

import json
import logging
from typing import Any

import pytest

MESSAGES_TYPES = {
    "api_error",
    "authentication_error",
    "billing_error",
    "conflict_error",
    "invalid_request_error",
    "not_found_error",
    "overloaded_error",
    "permission_error",
    "rate_limit_error",
    "request_too_large",
    "timeout_error",
}


def error_of(path: str, body: bytes) -> dict[str, Any]:
    """Return the error of an answer; fails unless it has exactly the form of its route."""
    told = json.loads(body)
    error = told["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if path.startswith("/v1/messages"):
        assert set(told) == {"type", "error", "request_id"}
        assert told["type"] == "error"
        assert set(error) - {"details"} == {"type", "message"}
        assert error["type"] in MESSAGES_TYPES
    elif path.startswith("/v1beta") or ":" in path:
        assert set(told) == {"error"}
        assert set(error) - {"details"} == {"code", "message", "status"}
        assert isinstance(error["code"], int)
        assert error["status"].isupper()
    elif path.startswith("/v1"):
        assert set(told) == {"error"}
        told_besides = {"reasons", "earliest_recovery", "attempts"}
        assert set(error) - told_besides == {"message", "type", "param", "code"}
        assert isinstance(error["type"], str)
        assert error["param"] is None or isinstance(error["param"], str)
        assert error["code"] is None or isinstance(error["code"], str)
    else:
        assert set(told) == {"error"}
        assert set(error) == {"code", "message", "details"}
    found: dict[str, Any] = error
    return found


def failures_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says of failures of ours: errors, and anything with a traceback."""
    return [
        f"{record.name}: {record.getMessage()} {record.exc_info}"
        for record in caplog.records
        if record.levelno >= logging.ERROR or record.exc_info or record.stack_info
    ]
