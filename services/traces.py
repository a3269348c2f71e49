"""What happened to one request: its row, its attempts, and why each account was taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models.attempt import Attempt
from models.errors import NotFound
from models.exchange import RequestRecord
from repositories.base import AttemptRepository, StatsRepository
from services.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Trace:
    """A request and its attempts, with the names that their accounts and proxies have now."""

    record: RequestRecord
    attempts: Sequence[Attempt]
    is_complete: bool
    """False when attempts were made of which nothing is kept any more."""
    account_labels: Mapping[str, str]
    proxy_labels: Mapping[str, str]


class Traces:
    """Finds requests, also those on their way to the database."""

    def __init__(
        self,
        stats: StatsRepository,
        attempts: AttemptRepository,
        waiting: Callable[[str], RequestRecord | None],
        snapshot: Callable[[], Snapshot],
    ) -> None:
        """`waiting` finds a request that this process has not stored yet."""
        self._stats = stats
        self._attempts = attempts
        self._waiting = waiting
        self._snapshot = snapshot

    async def request(self, name: str) -> RequestRecord:
        """Return a request by its id, else the latest to which its client gave this id; of its
        attempts it holds those that are not stored yet. Raises NotFound."""
        # This order: what is stored in between is found the second time at the latest.
        found = self._waiting(name) or await self._stats.find(name)
        if found is None:
            raise NotFound(
                f"there is no request {name}; a request is recorded when it has ended, "
                "and other replicas know it about a second later"
            )
        return found

    async def trace(self, name: str) -> Trace:
        """Return everything that is known of a request. Raises NotFound."""
        record = await self.request(name)
        attempts = record.tries or await self._attempts.of_request(record.id)
        snapshot = self._snapshot()
        accounts, proxies = _named(attempts)
        return Trace(
            replace(record, tries=[]),
            attempts,
            bool(attempts) or not record.attempts,
            {
                account_id: snapshot.accounts[account_id].account.label
                for account_id in accounts & snapshot.accounts.keys()
            },
            {
                proxy_id: snapshot.proxies[proxy_id].label
                for proxy_id in proxies & snapshot.proxies.keys()
            },
        )


def _named(attempts: Sequence[Attempt]) -> tuple[set[str], set[str]]:
    """Return the ids of all accounts and proxies that the attempts speak of."""
    accounts = {attempt.account_id for attempt in attempts}
    for attempt in attempts:
        if attempt.decision is not None:
            accounts.update(attempt.decision.eligible, attempt.decision.excluded)
    return accounts, {attempt.proxy_id for attempt in attempts if attempt.proxy_id is not None}
