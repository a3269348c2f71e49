"""How long somebody rests after a failure. A pure policy: it keeps nothing and asks no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from models.account import AuthType
from models.errors import ErrorKind, UpstreamError
from models.rest import NEVER

TRANSIENT: Final = frozenset({ErrorKind.UPSTREAM, ErrorKind.TIMEOUT, ErrorKind.TRUNCATED})
"""One may be chance: two within a minute are not."""

SHARED_FATE: Final = TRANSIENT | {ErrorKind.OVERLOADED}
"""What the next account may well meet too, because the provider itself is unwell."""

LIMITS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.QUOTA})

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0

# An end that is named is the same for everybody, and nobody should come all at once.
_LEAST_JITTER_S: Final = 1.0
_MOST_JITTER_S: Final = 30.0
_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Rule:
    """What failures of one kind lead to."""

    first_s: float
    longest_s: float
    """Each rest is twice as long as the one before, up to this."""
    after: int = 1
    """Failures within `window_s` until the first rest; after that one is enough."""
    window_s: float = _MINUTE_S
    operator_after: int | None = None
    """Failures within `window_s` from which on only an operator ends it."""
    is_consecutive: bool = False
    """One success wipes the failures that have led to no rest."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """First and longest pauses in seconds, where the provider does not say."""

    rate_limited_s: float = 1.0
    overloaded_s: float = 5.0
    longest_overloaded_s: float = 60.0
    failed_s: float = 10.0
    rejected_s: float = 600.0
    billing_s: float = 1_800.0
    model_missing_s: float = 43_200.0
    egress_s: float = 30.0
    longest_egress_s: float = 600.0
    egress_after: int = 3
    """Failures of a proxy in a row until it rests."""
    longest_s: float = 300.0
    max_retry_after_s: float = 21_600.0
    trial_every_s: float = 900.0

    def rule(self, kind: ErrorKind, auth_type: AuthType, *, is_proxy: bool = False) -> Rule | None:
        """Return what holds for a kind of failure; None when nobody rests for it."""
        match kind:
            case ErrorKind.RATE_LIMIT:
                return Rule(self.rate_limited_s, max(self.rate_limited_s, self.longest_s))
            case ErrorKind.QUOTA:
                return Rule(self.longest_s, self.longest_s)
            case ErrorKind.BILLING:
                return Rule(self.billing_s, max(self.billing_s, _DAY_S))
            case ErrorKind.UPSTREAM_AUTH if auth_type is AuthType.OAUTH:
                return Rule(self.rejected_s, self.rejected_s)
            case ErrorKind.UPSTREAM_AUTH:
                # Short at first: what decides is whether it is refused again.
                window_s = max(self.rejected_s, _MINUTE_S)
                return Rule(self.failed_s, self.failed_s, window_s=window_s, operator_after=2)
            case ErrorKind.PERMISSION:
                window_s = max(3 * _HOUR_S, 4 * self.rejected_s)
                return Rule(self.rejected_s, self.rejected_s, window_s=window_s, operator_after=3)
            case ErrorKind.MODEL_NOT_FOUND:
                return Rule(self.model_missing_s, self.model_missing_s)
            case ErrorKind.OVERLOADED:
                return Rule(self.overloaded_s, max(self.overloaded_s, self.longest_overloaded_s))
            case ErrorKind.EGRESS if is_proxy:
                return Rule(
                    self.egress_s,
                    max(self.egress_s, self.longest_egress_s),
                    after=self.egress_after,
                    window_s=_HOUR_S,
                    is_consecutive=True,
                )
            case ErrorKind.EGRESS | ErrorKind.UPSTREAM | ErrorKind.TIMEOUT | ErrorKind.TRUNCATED:
                return Rule(self.failed_s, max(self.failed_s, self.longest_s), after=2)
            case _:
                return None

    def names_end(self, error: UpstreamError) -> bool:
        """Tell whether a failure says itself how long the rest is, whatever was before."""
        is_limit = error.kind in LIMITS and error.retry_after_s is not None
        return error.needs_operator or error.pause_s is not None or is_limit

    def end(
        self,
        error: UpstreamError,
        rule: Rule,
        strikes: int,
        now: float,
        chance: Callable[[], float],
    ) -> float:
        """Return when the rest ends, in epoch seconds.

        `strikes` counts the rests in a row, this one included; `chance` gives 0 to 1.
        """
        if error.needs_operator:
            return NEVER
        if error.pause_s is not None:
            pause_s = max(error.pause_s, 0.0)
            spread_s = min(pause_s * _JITTER, _MOST_JITTER_S - _LEAST_JITTER_S)
            return now + pause_s + _LEAST_JITTER_S + spread_s * chance()
        hint_s = error.retry_after_s
        if hint_s is not None and error.kind in LIMITS:
            return now + min(max(hint_s, 1.0), self.max_retry_after_s)
        pause_s = min(rule.first_s * 2.0 ** (max(strikes, 1) - 1), rule.longest_s)
        if hint_s is not None:
            # What passes soon is not left alone for hours because one machine of many says so.
            longest_s = rule.longest_s if error.kind in SHARED_FATE else self.max_retry_after_s
            pause_s = max(pause_s, min(hint_s, longest_s))
        return now + pause_s

    def trial_at(self, began_at: float, until: float, now: float) -> float | None:
        """Return when one request may try before the end; None when nobody may."""
        is_long = until - began_at > 2 * self.trial_every_s
        next_at = now + self.trial_every_s
        return next_at if is_long and until < NEVER and next_at < until else None


def group_of(kind: ErrorKind) -> ErrorKind:
    """Return the kind with which failures of this kind are counted together."""
    return ErrorKind.UPSTREAM if kind in TRANSIENT else kind
