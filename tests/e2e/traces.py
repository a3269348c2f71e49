"""What the gateway says of its attempts, held against what the providers saw.

A trace may know less than a provider: a caller that left before the answer came has none. It must
never know something else: every status that a trace shows was given, to that account, at that
address, and every answer that was given is in a trace, or belongs to an attempt that has no status.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tests.fakes.provider import FakeProvider

Trace: TypeAlias = dict[str, Any]
"""The answer of `/api/v1/requests/{id}/trace`."""
Call: TypeAlias = tuple[str, str, int]
"""Account id, address of the provider, status; 0 where no answer came."""

_PAGE = 500
_AT_ONCE = 16
_FREE_OF_TURNS = frozenset({"affinity", "trial", "last_resort"})
"""Choices that take somebody who is not among those that serve like any other."""


class Operator(Protocol):
    """Whoever may call `/api/v1`: `Rig`, or a cluster of replicas."""

    def api(
        self, method: str, path: str, body: object = None, *, expect: int | None = None
    ) -> Awaitable[Any]: ...


async def read_traces(operator: Operator, *, query: str = "") -> list[Trace]:
    """Return the trace of every recorded request, the oldest first; `query` filters the logs."""
    ids: list[str] = []
    total = 1
    while len(ids) < total:
        page = await operator.api(
            "GET", f"/stats/logs?limit={_PAGE}&offset={len(ids)}{'&' * bool(query)}{query}"
        )
        total = page["total"] if page["data"] else len(ids)
        ids += [row["id"] for row in page["data"]]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(request_id: str) -> Trace:
        async with gate:
            trace: Trace = await operator.api("GET", f"/requests/{request_id}/trace")
            return trace

    return list(await asyncio.gather(*map(read, reversed(ids))))


def calls_of(traces: Iterable[Trace]) -> Counter[Call]:
    """Return what the traces say was asked of providers."""
    return Counter(
        (attempt["account_id"], attempt["base_url"] or "", attempt["status"] or 0)
        for trace in traces
        for attempt in trace["attempts"]
        if attempt["sent"]
    )


def journal_of(provider: FakeProvider, accounts: Mapping[str, str]) -> Counter[Call]:
    """Return what a pretend provider was asked; `accounts`: key -> account id."""
    return Counter(
        (accounts[served.key], provider.url, served.status)
        for served in provider.served
        if served.text  # lists of models are asked for without a body
    )


@dataclass(frozen=True)
class Comparison:
    """What differs between traces and journals."""

    invented: Mapping[Call, int]
    """Answers that a trace shows and no provider gave."""
    missing: Mapping[Call, int]
    """Calls that a provider saw and that belong to no attempt."""

    @property
    def agrees(self) -> bool:
        return not self.invented and not self.missing


def compared(told: Counter[Call], journal: Counter[Call]) -> Comparison:
    """Compare call by call."""
    answered = Counter({call: n for call, n in told.items() if call[2]})
    seen = Counter({call: n for call, n in journal.items() if call[2]})
    left = seen - answered
    left.update({call: n for call, n in journal.items() if not call[2]})
    unanswered = Counter({call[:2]: n for call, n in told.items() if not call[2]})
    missing: Counter[Call] = Counter()
    for call, count in sorted(left.items(), key=lambda item: item[0][2], reverse=True):
        # Nobody waited for this answer any more: an attempt without a status is what is left.
        explained = min(count, unanswered[call[:2]])
        unanswered[call[:2]] -= explained
        missing[call] = count - explained
    return Comparison(answered - seen, +missing)


def flaws(trace: Trace) -> list[str]:
    """Return what a trace does not explain, or explains in contradiction to itself."""
    request, attempts = trace["request"], trace["attempts"]
    found = [] if trace["is_complete"] else ["attempts are missing"]
    if [one["number"] for one in attempts] != [*range(1, len(attempts) + 1)]:
        found.append("attempts are not numbered in turn")
    if request["status"] == 200 and not any(one["status"] == 200 for one in attempts):
        found.append("nobody served, and yet the client was served")
    for check in (_undecided, _not_taken, _unexplained):
        found += [f"attempt {one['number']}: {text}" for one in attempts if (text := check(one))]
    return [f"request {request['id']}: {text}" for text in found]


def _undecided(attempt: Trace) -> str:
    return "" if attempt["decision"] is not None else "no decision is kept"


def _not_taken(attempt: Trace) -> str:
    """Whoever was asked stands in the picture, and is not there as somebody who cannot serve."""
    decision = attempt["decision"]
    if decision is None:
        return ""
    own = [one for one in decision["candidates"] if one["account_id"] == attempt["account_id"]]
    if not own:
        is_cut = len(decision["candidates"]) >= 200
        return "" if is_cut else "who was asked is not in the picture"
    if own[0]["outcome"] != "taken":
        return f"who was asked is shown as {own[0]['outcome']}"
    return ""


def _unexplained(attempt: Trace) -> str:
    """A failure says what it was; who did not serve like the others says why he was asked."""
    is_failure = attempt["status"] is None or attempt["status"] >= 400
    if is_failure and attempt["error_kind"] is None:
        return "it failed, and there is no reason"
    if attempt["choice"] not in _FREE_OF_TURNS and attempt["decision"] is not None:
        excluded = attempt["decision"]["counts"]
        if not attempt["decision"]["candidates"] and not excluded:
            return "it was decided on an empty picture"
    return ""
