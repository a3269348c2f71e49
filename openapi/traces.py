"""Answers of `/api/v1/requests`: what happened to one request, and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from models.attempt import Attempt, Choice, Decision
from models.exchange import RequestRecord
from models.rest import NEVER
from openapi.fields import Answer, instant
from openapi.stats import LogAnswer

_DAY_S = 86_400


class RestAnswer(Answer):
    """The pause that followed a failure."""

    subject: str | None
    """Who rests: an account, a proxy or an address of the provider."""
    scope: str | None
    """For which models: `*`, a model, or `family:...`."""
    until: datetime | None
    """Null when only an operator ends it."""


class CandidateAnswer(Answer):
    """One account of the pool when an attempt was decided on."""

    account_id: str
    account_label: str | None
    """Null when it is gone."""
    outcome: Literal["taken", "passed_over", "excluded"]
    reason: str
    """Taken: the `choice`. Passed over: `not_its_turn`, `tried_in_attempt_N`, or `not_asked` where
    nobody was. Excluded: why it could not serve."""


class DecisionAnswer(Answer):
    """The picture of the pool on which an attempt was decided."""

    strategy: str
    candidates: list[CandidateAnswer]
    """At most 200; those that could serve first, in the order of their turns."""
    counts: dict[str, int]
    """How many accounts were excluded, by reason, also those that are not among the candidates."""

    @classmethod
    def of(
        cls,
        attempt: Attempt,
        decision: Decision,
        before: Mapping[str, int],
        labels: Mapping[str, str],
    ) -> "DecisionAnswer":
        """Show a decision; `before`: account id -> number of the attempt that tried it before."""
        candidates = [
            _candidate(account_id, attempt, before, labels) for account_id in decision.eligible
        ]
        for account_id, reason in decision.excluded.items():
            if account_id == attempt.account_id:
                candidates.insert(0, _candidate(account_id, attempt, before, labels))
                continue
            candidates.append(
                CandidateAnswer(
                    account_id=account_id,
                    account_label=labels.get(account_id),
                    outcome="excluded",
                    reason=reason,
                )
            )
        return cls(strategy=decision.strategy, candidates=candidates, counts=dict(decision.counts))


class AttemptAnswer(Answer):
    """One call of a provider, or a try of one, or why there was none."""

    number: int
    at: datetime
    provider_id: str
    model: str
    """As the provider knows it."""
    account_id: str | None
    """Null when nobody was asked."""
    account_label: str | None
    """Null when it is gone."""
    proxy_id: str | None
    """Null: it went direct."""
    proxy_label: str | None
    base_url: str | None
    choice: Choice
    """Why this account: its turn (`strategy`); the conversation lives there (`affinity`); that
    account cannot serve now (`borrowed`); a try during a rest (`trial`); others failed
    (`failover`); nobody better was left (`last_resort`). Or no account was asked (`nobody`)."""
    counter: int | None
    """The shared counter's value, where it decided."""
    sent: bool
    """False when it is certain that the provider never saw the request."""
    status: int | None
    """The provider's status; null when none came."""
    first_byte_ms: float | None
    latency_ms: float
    error_kind: str | None
    """Null when it went well."""
    blame: str | None
    """Who had to pay for the failure: `request`, `account`, `family`, `account_model`, `egress` or
    `provider`."""
    message: str | None
    rest: RestAnswer | None
    decision: DecisionAnswer | None
    """Null when it is not kept."""


class TraceAnswer(Answer):
    """One request, attempt by attempt."""

    request: LogAnswer
    attempts: list[AttemptAnswer]
    is_complete: bool
    """False when attempts were made of which nothing is kept: `stats.trace_days`."""

    @classmethod
    def of(
        cls,
        record: RequestRecord,
        attempts: Sequence[Attempt],
        *,
        is_complete: bool,
        account_labels: Mapping[str, str],
        proxy_labels: Mapping[str, str],
    ) -> "TraceAnswer":
        """Show a trace."""
        before: dict[str, int] = {}
        shown = []
        for attempt in attempts:
            shown.append(_attempt(attempt, before, account_labels, proxy_labels))
            before[attempt.account_id] = attempt.number
        return cls(request=LogAnswer.of(record), attempts=shown, is_complete=is_complete)


def _attempt(
    attempt: Attempt,
    before: Mapping[str, int],
    account_labels: Mapping[str, str],
    proxy_labels: Mapping[str, str],
) -> AttemptAnswer:
    decision = attempt.decision
    return AttemptAnswer(
        number=attempt.number,
        at=instant(attempt.at),
        provider_id=attempt.provider_id,
        model=attempt.model,
        account_id=attempt.account_id or None,
        account_label=account_labels.get(attempt.account_id),
        proxy_id=attempt.proxy_id,
        proxy_label=proxy_labels.get(attempt.proxy_id or ""),
        base_url=attempt.base_url,
        choice=attempt.choice,
        counter=attempt.counter,
        sent=attempt.sent,
        status=attempt.status,
        first_byte_ms=attempt.first_byte_ms,
        latency_ms=attempt.latency_ms,
        error_kind=attempt.error_kind,
        blame=attempt.blame,
        message=attempt.message,
        rest=_rest(attempt),
        decision=DecisionAnswer.of(attempt, decision, before, account_labels)
        if decision is not None
        else None,
    )


def _rest(attempt: Attempt) -> RestAnswer | None:
    if attempt.rest_until is None:
        return None
    # The database holds no later moment than the last day of the calendar.
    is_for_ever = attempt.rest_until >= NEVER - _DAY_S
    subject, _, scope = (attempt.rest_scope or "").partition(" ")
    return RestAnswer(
        subject=subject or None,
        scope=scope or None,
        until=None if is_for_ever else instant(attempt.rest_until),
    )


def _candidate(
    account_id: str, attempt: Attempt, before: Mapping[str, int], labels: Mapping[str, str]
) -> CandidateAnswer:
    """Show an account that could serve: the one that was taken, or another."""
    is_taken = account_id == attempt.account_id
    number = before.get(account_id)
    passed = "not_its_turn" if attempt.account_id else "not_asked"
    if number is not None:
        passed = f"tried_in_attempt_{number}"
    return CandidateAnswer(
        account_id=account_id,
        account_label=labels.get(account_id),
        outcome="taken" if is_taken else "passed_over",
        reason=attempt.choice if is_taken else passed,
    )
