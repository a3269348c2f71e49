"""What is left of an account's limits, and when they begin anew."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Source: TypeAlias = Literal["header", "probe", "learned"]


@dataclass(frozen=True, slots=True)
class QuotaWindow:
    """One limit of one account: what is known of it."""

    account_id: str
    model: str
    """A model, what `models.rest.family_scope` returns, or `*`."""
    window: str
    """The provider's name for it: `5h`, `7d`, `requests`, `input-tokens`, `day`."""
    used_ratio: float | None = None
    """0 to 1, or more when over-used; None when it is not known."""
    limit: int | None = None
    remaining: int | None = None
    unit: str | None = None
    """`requests` or `tokens`; None when only the share is told."""
    resets_at: float | None = None
    """Epoch seconds UTC."""
    source: Source = "header"
    confidence: float = 1.0
    """1 for what a provider told; less for what was learned."""
    samples: int = 0
    """How often the end of the window was met, where it was learned."""
    updated_at: float = 0.0
