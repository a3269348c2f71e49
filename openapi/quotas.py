"""Bodies of `/api/v1/quota`."""

from datetime import datetime
from typing import Literal

from models.account import AccountState
from models.quota import QuotaWindow
from models.rest import Rest
from openapi.common import Listing, PageQuery
from openapi.fields import Answer, Id, Slug, instant, moment


class QuotaQuery(PageQuery):
    """Which accounts to list."""

    provider_id: Slug | None = None
    account_id: Id | None = None
    state: AccountState | None = None


class QuotaWindowAnswer(Answer):
    """One limit of an account. Null means that it is not known."""

    model: str
    """A model, `family:` and a family of models, or `*` for all."""
    window: str
    """The provider's name for it, such as `5h`."""
    used_ratio: float | None
    """0 to 1; more where the estimate was too low, or the provider lets it be exceeded."""
    limit: int | None
    remaining: int | None
    unit: str | None
    """`requests` or `tokens`; null where only the share is told."""
    resets_at: datetime | None
    source: Literal["header", "probe", "learned"]
    """From an answer's headers, from the model list, or learned from refusals."""
    confidence: float
    """1 for what the provider told; less for what was learned."""
    samples: int
    """How often the end of the window was met, where it was learned."""
    updated_at: datetime

    @classmethod
    def of(cls, window: QuotaWindow) -> "QuotaWindowAnswer":
        """Show a window."""
        return cls(
            model=window.model,
            window=window.window,
            used_ratio=window.used_ratio,
            limit=window.limit,
            remaining=window.remaining,
            unit=window.unit,
            resets_at=moment(window.resets_at),
            source=window.source,
            confidence=window.confidence,
            samples=window.samples,
            updated_at=instant(window.updated_at),
        )


class RestAnswer(Answer):
    """A pause."""

    scope: str
    """A model, `family:` and a family of models, or `*` for all."""
    reason: str
    evidence: str
    """What the provider said, in a few words."""
    began_at: datetime
    until: datetime | None
    """Null: until an operator ends it."""
    trial_at: datetime | None
    """When one request may try although the end has not come."""

    @classmethod
    def of(cls, rest: Rest) -> "RestAnswer":
        """Show a rest."""
        return cls(
            scope=rest.scope,
            reason=rest.reason.value,
            evidence=rest.evidence,
            began_at=instant(rest.began_at),
            until=None if rest.needs_operator else instant(rest.until),
            trial_at=moment(rest.trial_at),
        )


class AccountQuotaAnswer(Answer):
    """An account with its limits and its pauses."""

    account_id: str
    provider_id: str
    label: str
    state: AccountState
    """`limited`: it rests for some models; `cooling`: for all of them."""
    rests: list[RestAnswer]
    windows: list[QuotaWindowAnswer]


class AccountQuotaList(Listing[AccountQuotaAnswer]):
    """A page of accounts with their limits."""


class ForecastAnswer(Answer):
    """When the pool runs dry, if it goes on as in the last hour."""

    dry_at: datetime | None
    """Null: it does not within the time that was looked at, or it is not known; see `basis`."""
    not_before: datetime | None
    """Where `dry_at` is null and it is known how fast the pool is used: it lasts until then."""
    per_hour: float | None
    """How much is used in an hour, in `unit`; null when that is not known."""
    unit: str
    """`requests`, `tokens`, or `share`: 1 is the whole limit of one account."""
    basis: str
    """What this is made from, for people."""


class WindowTotalsAnswer(Answer):
    """One limit over the active accounts of a pool that have it."""

    model: str
    window: str
    accounts: int
    """Of how many accounts it is known."""
    used_up: int
    """How many of them have nothing left."""
    used_ratio: float | None
    """Their mean."""
    limit: int | None
    remaining: int | None
    unit: str | None
    earliest_reset: datetime | None
    confidence: float
    """The least sure account's."""
    forecast: ForecastAnswer | None
    """Null for limits on the pace, which are full again within minutes."""


class PoolSummaryAnswer(Answer):
    """How the accounts of a provider are."""

    provider_id: str
    accounts: int
    available: int
    """Accounts that take new work."""
    health: Literal["healthy", "degraded", "critical"]
    """Half of the accounts or more are available; a fifth or more; fewer."""
    states: dict[str, int]
    """Accounts by state."""
    windows: list[WindowTotalsAnswer]
    forecast: ForecastAnswer | None
    """Of the limit for all models that ends first; where there is none, of any."""
