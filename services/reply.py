"""An answer on its way from a provider to a client."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from models.errors import ErrorKind, GatewayError, UpstreamError
from models.exchange import ProxyRequest
from models.ports import Sink, UpstreamResponse
from models.usage import Usage
from providers.failures import stream_error
from services.plan import Plan

Stream: TypeAlias = Callable[[Sink], Coroutine[object, object, None]]
"""Gives a client all there is to a stream, whole frames at a time; returns when it has ended."""


def nothing() -> None:
    """There is nothing to give back."""


@dataclass(slots=True)
class Reply:
    """An answer in the client's dialect: a whole body or a stream. Whoever has it drops it."""

    body: bytes = b""
    stream: Stream | None = None
    headers: dict[str, str] = field(default_factory=dict)
    finish: Callable[[], None] = nothing
    """Gives back what the answer holds."""

    def drop(self) -> None:
        """Give back what the answer holds, however far it was read. Idempotent."""
        finish, self.finish = self.finish, nothing
        finish()


class Accepted(Protocol):
    """A provider's answer of status 2xx, and what must be known to pass it on."""

    request: ProxyRequest
    plan: Plan
    response: UpstreamResponse
    secret: str
    """What signed the call; an error inside the stream may repeat it."""
    usage: Usage
    """What it has cost, once it says so."""
    error_code: str | None
    """Of what broke the stream."""

    def ended(self, error: UpstreamError | None) -> None:
        """Hear how a stream ended that ran to its end: well, or with whose error."""
        ...


def stopping() -> GatewayError:
    """Return what the client of a call is told that our stop breaks off."""
    return GatewayError(
        "the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, status=503, retry_after_s=1
    )


def judged(plan: Plan, error: GatewayError) -> GatewayError:
    """Let the provider say what an error inside its stream means: it knows its own codes."""
    if not isinstance(error, UpstreamError):
        return error
    return stream_error(plan.route.provider.diagnose, plan.upstream, error)
