"""Errors as their callers read them: status, headers and body, in the caller's own format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dialects.base import Dialect
from dialects.fields import dumps
from models.errors import GatewayError, UpstreamError, let_go
from models.json_types import Json

SERVER: Final = "aigateway"
"""All that answers tell of our software: versions help only those who look for holes."""
JSON_TYPE: Final = "application/json"
_NOSNIFF: Final = {"x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Told:
    """An error's answer; its content type is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes


def told(error: GatewayError, dialect: Dialect | None, request_id: str) -> Told:
    """Tell an error in a dialect, or in the form of `/api/v1` where there is none.

    It lets go of what it went through: that is over.
    """
    let_go(error)
    if dialect is None:
        return _api_error(error)
    encoded = dialect.encode_error(error, request_id)
    headers = {**encoded.headers, **_NOSNIFF, "request-id": request_id}
    body, status = encoded.body, encoded.status
    if isinstance(error, UpstreamError) and error.is_verbatim:
        body, status = error.upstream_body or body, error.upstream_status or status
    return Told(status, headers, body)


def hidden(error: Exception) -> GatewayError:
    """Return what a caller is told of a fault of ours."""
    told_instead = GatewayError("the gateway failed; the log has the cause")
    told_instead.__cause__ = error
    return told_instead


def _api_error(error: GatewayError) -> Told:
    details: dict[str, Json] = {key: _plain(value) for key, value in error.details.items()}
    if error.path is not None:
        details.setdefault("path", error.path)
    body: Json = {"error": {"code": error.code, "message": error.message, "details": details}}
    headers = dict(_NOSNIFF)
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, -int(-error.retry_after_s // 1)))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Told(error.status, headers, dumps(body))


def _plain(value: object) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return str(value)
