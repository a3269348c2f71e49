"""What a pretend provider serves at one path, and how it says no."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.scenarios import Scenario


@dataclass(frozen=True)
class Seen:
    """One request as the provider got it."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]
    body: bytes
    key: str
    """The credential that signed it."""
    peer: str
    query: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    """Out of the path where it stands there, else out of the body."""


class Refused(Exception):
    """A request that the real provider answers with an error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def need(holds: object, message: str, status: int = 400) -> None:
    """Refuse the request unless something holds."""
    if not holds:
        raise Refused(message, status)


def stranger(value: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Return the first field that is not known."""
    return next((name for name in value if name not in known), None)


def nothing_to_check(_seen: Seen) -> None:
    """Any request will do."""


def asks_stream(seen: Seen) -> bool:
    return bool(seen.payload.get("stream"))


def never(_seen: Seen) -> bool:
    return False


def events(_seen: Seen) -> str:
    return "text/event-stream"


@dataclass(frozen=True)
class Endpoint:
    """What is served at one path."""

    path: str
    """In aiohttp's syntax."""
    whole: Callable[[Scenario, Seen], object]
    error: Callable[[int, str], bytes]
    """An error's body, by status and message."""
    check: Callable[[Seen], None] = nothing_to_check
    """Raises Refused, or any error of a wrong type, for what the provider does not accept."""
    stream: Callable[[Scenario, Seen], Iterable[bytes]] | None = None
    wants_stream: Callable[[Seen], bool] = never
    stream_error: Callable[[int, str], bytes] | None = None
    """An error as the last event of a stream."""
    stream_type: Callable[[Seen], str] = events
    method: str = "POST"
    counts: bool = True
    """Whether it is put down in the journal as a call of a model."""
