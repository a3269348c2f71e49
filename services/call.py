"""One model call over all its attempts: what it may still cost."""

from dataclasses import dataclass, field
from typing import Final

from dialects.base import Dialect
from models.attempt import Attempt, Decision
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.exchange import ProxyRequest, RequestRecord
from providers.base import Route
from services.answers import Limits

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
    limits: Limits
    wait_left_s: float
    """How long it may yet wait for an account that is well again."""
    failures: int = field(default=0, init=False)
    """Calls in vain that may have cost something."""
    refusals: int = field(default=0, init=False)
    """Those that cost nothing."""
    met_stale_connection: bool = field(default=False, init=False)
    is_served: bool = field(default=False, init=False)
    """Whether somebody has an answer for it."""
    credited: Attempt | None = field(default=None, init=False)
    """The row of whom its record names."""

    def count(self, error: UpstreamError) -> bool:
        """Count a failure; say whether it may have cost something."""
        is_costly = error.sent and error.kind not in _REFUSALS
        if is_costly:
            self.failures += 1
        else:
            self.refusals += 1
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
        limits = self.limits
        return (
            now < self.deadline
            and self.failures < limits.max_attempts
            and self.refusals <= limits.max_refusals
        )
