"""One account at work for one request, and what the request's record says of it."""

import asyncio
from dataclasses import dataclass, field

from models.account import StoredAccount
from models.attempt import Attempt
from models.errors import ErrorKind, GatewayError, UpstreamError
from services.affinity import Visit
from services.answers import Outcome, Reply
from services.call import Call
from services.plan import Plan
from services.pool import Lease


@dataclass(slots=True)
class Try:
    """One account at work for one request."""

    call: Call
    plan: Plan
    lease: Lease
    visit: Visit | None
    stored: StoredAccount
    row: Attempt
    """Of the call of the provider that is on its way, or was last."""
    began: float
    """Monotonic seconds."""
    secret: str = ""
    """What signs its calls."""
    sent_at: float = 0.0
    """When its last call was sent, epoch seconds."""
    admitted: str = ""
    """The address that the breaker has let it ask: as often as it needs to."""
    outcome: Outcome = field(default_factory=Outcome)
    """What its answer says of itself."""
    serves: bool = False
    """Whether its answer is the client's; of those that race only one is."""
    is_over: bool = False

    def win(self, reply: Reply) -> None:
        """Let an answer be the client's.

        Raises CancelledError for who comes second in a race, as if it had been broken off a moment
        earlier.
        """
        if self.call.is_served:
            reply.drop()
            raise asyncio.CancelledError
        self.call.is_served = self.serves = True

    def credit(self) -> None:
        """Say in the record who serves the request, or tries to; of those that race, the winner."""
        if self.call.is_served and not self.serves:
            return
        record, plan, lease = self.call.record, self.plan, self.lease
        record.provider_id = plan.route.provider.id
        record.upstream_model = plan.route.model
        record.account_id = lease.account.id
        record.proxy_id = lease.egress.id if lease.egress is not None else None
        record.mode = plan.mode


def note_failure(row: Attempt, error: BaseException) -> None:
    """Say in a call's row why it brought nothing."""
    match error:
        case UpstreamError():
            row.error_kind, row.blame = error.kind.value, error.blame.value
            row.message = error.evidence or error.message
        case GatewayError():
            row.error_kind, row.message = error.kind.value, error.message
        case asyncio.CancelledError():
            row.error_kind = ErrorKind.CANCELLED.value
        case _:
            row.error_kind = ErrorKind.INTERNAL.value
