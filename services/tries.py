"""One account at work for one request, and what the request's record says of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from models.account import StoredAccount
from models.attempt import Attempt
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.exchange import ProxyRequest
from models.ports import UpstreamResponse
from models.usage import NO_USAGE, Usage
from services.affinity import Visit
from services.call import Call
from services.plan import Plan
from services.reply import Reply, nothing
from services.slots import Lease


class Judge(Protocol):
    """Who let it work: `services.attempts.Attempts`."""

    def judge(self, one: "Try", error: UpstreamError | None) -> None:
        """Take in what came of it; None is a success."""
        ...

    def conclude(self, one: "Try") -> None:
        """End it. Idempotent."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class Try:
    """One account at work for one request; `services.reply.Accepted` once it has an answer."""

    call: Call
    request: ProxyRequest
    plan: Plan
    lease: Lease
    visit: Visit | None
    stored: StoredAccount
    row: Attempt
    """Of the call of the provider that is on its way, or was last."""
    began: float
    """Monotonic seconds."""
    judge: Judge
    secret: str = field(default="", init=False)
    """What signs its calls."""
    sent_at: float = field(default=0.0, init=False)
    """When its last call was sent, epoch seconds."""
    admitted: str = field(default="", init=False)
    """The address that the breaker has let it ask: as often as it needs to."""
    response: UpstreamResponse = field(init=False)
    """Of status 2xx."""
    usage: Usage = field(default=NO_USAGE, init=False)
    error_code: str | None = field(default=None, init=False)
    give_back: Callable[[], None] = field(init=False)
    """Gives back what its answer holds, if that is a stream."""
    serves: bool = field(default=False, init=False)
    """Whether its answer is the client's; of those that race only one is."""
    is_over: bool = field(default=False, init=False)

    def ended(self, error: UpstreamError | None) -> None:
        """Take in how its stream ended that ran to its end: well, or with whose error."""
        self.judge.judge(self, error)

    def hold(self, reply: Reply) -> None:
        """End with the stream of an answer."""
        self.give_back, reply.finish = reply.finish, self.end_stream

    def end_stream(self) -> None:
        """Give back what its stream held, and end with it."""
        give_back, self.give_back = self.give_back, nothing  # it holds us in turn
        try:
            give_back()
        finally:
            self.judge.conclude(self)

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
        call = self.call
        if call.is_served and not self.serves:
            return
        call.credited = row = self.row
        record = call.record
        record.provider_id, record.upstream_model = row.provider_id, row.model
        record.account_id, record.proxy_id = row.account_id, row.proxy_id
        record.mode = self.plan.mode


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
