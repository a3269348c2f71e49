"""One model call over all its attempts: what it may still cost."""

from dataclasses import dataclass
from typing import Final

from dialects.base import Dialect
from models.attempt import Attempt, Decision
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.exchange import ProxyRequest, RequestRecord
from providers.base import Route

# What an account says before it begins to work: another one may be asked at no cost.
_REFUSALS: Final = frozenset(
    {
        ErrorKind.RATE_LIMIT,
        ErrorKind.QUOTA,
        ErrorKind.BILLING,
        ErrorKind.UPSTREAM_AUTH,
        ErrorKind.PERMISSION,
        ErrorKind.NOT_FOUND,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.EGRESS,
        ErrorKind.SIGNATURE,
    }
)


@dataclass(slots=True)
class Call:
    """A request on its way; those that race for it share one."""

    request: ProxyRequest
    record: RequestRecord
    client: Dialect
    deadline: float
    """Monotonic seconds: the answer must have begun by then."""
    calls_left: int
    """Failures that may have cost something, until it is given up."""
    refusals_left: int
    """Refusals that cost nothing, until it is given up."""
    wait_left_s: float = 0.0
    """How long it may yet wait for an account that is well again."""
    met_stale_connection: bool = False
    is_served: bool = False
    """Whether somebody has an answer for it."""

    def count(self, error: UpstreamError) -> bool:
        """Count a failure; say whether it may have cost something."""
        is_costly = error.sent and error.kind not in _REFUSALS
        if is_costly:
            self.calls_left -= 1
        else:
            self.refusals_left -= 1
        return is_costly

    def pass_over(
        self, route: Route, error: GatewayError, now: float, picture: Decision | None = None
    ) -> None:
        """Keep why a route was left without asking anybody; `now` is in epoch seconds."""
        row = Attempt(
            len(self.record.tries) + 1,
            now,
            route.provider.id,
            route.model,
            "",
            None,
            "nobody",
            decision=picture,
            error_kind=error.kind.value,
            message=error.message,
            sent=False,
        )
        self.record.tries.append(row)

    def may_try(self, now: float) -> bool:
        """Whether another account may be asked."""
        return self.calls_left > 0 and self.refusals_left >= 0 and now < self.deadline
