"""A line of the table, and the bodies that providers write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from dialects.base import Dialect
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from providers.base import Provider
from providers.failures import stream_error

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
"""Four in the morning in California, eight in the evening in Beijing."""
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


@dataclass(frozen=True)
class Case:
    """What a provider says, and what is to follow."""

    name: str
    provider: Provider
    status: int
    body: bytes
    kind: ErrorKind
    blame: Blame
    told: int
    """Status for the client."""
    evidence: str
    headers: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect | None = None
    """The one that was spoken; None: the provider's main one."""
    pause: float | None = None
    wait: float | None = None
    """What a client is told; None: the pause, if there is one."""
    family: str | None = None
    operator: bool = False
    stays: bool = False
    """No other account is asked."""

    def diagnosed(self) -> UpstreamError:
        dialect = self.dialect or self.provider.main.dialect
        return self.provider.diagnose(dialect, self.status, self.headers, self.body)

    def diagnosed_inside_a_stream(self) -> UpstreamError:
        dialect = self.dialect or self.provider.main.dialect
        found = UpstreamError("found by a decoder", upstream_body=self.body)
        return stream_error(self.provider.diagnose, dialect, found)


def claude(kind: str, message: str = "Something is wrong.", **details: str) -> bytes:
    """Return an error of the Messages format."""
    error: JsonObject = {"type": kind, "message": message}
    if details:
        error["details"] = dict(details)
    return packed({"type": "error", "error": error, "request_id": "req_011CSHoE"})


def gpt(
    kind: str | None, code: str | None = None, message: str = "Something is wrong.", **more: Json
) -> bytes:
    """Return an error of OpenAI's formats."""
    error: JsonObject = {"message": message, "type": kind, "param": None, "code": code}
    return packed({"error": error | more})


def zhipu(code: str, message: str = "Something is wrong.") -> bytes:
    """Return an error of GLM's own format."""
    return packed({"error": {"code": code, "message": message}})


def packed(payload: JsonObject) -> bytes:
    return json.dumps(payload).encode()


def stamp(seconds: float) -> str:
    """Return the RFC 3339 form of a moment, in seconds from now."""
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(seconds: float) -> str:
    """Return the epoch form of a moment, in seconds from now."""
    return str(int(NOW + seconds))
