"""Providers as stored: built-in ones with an operator's changes, and the operator's own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredProvider:
    """A row of `providers`. None means: as the code or the configuration has it."""

    id: str
    name: str
    dialect: str
    """Name of a dialect: `messages`, `chat`, `responses` or `gemini`."""
    base_url: str | None = None
    prefixes: tuple[str, ...] | None = None
    is_builtin: bool = False
    is_active: bool = True
    strategy: str | None = None
    """How an account is chosen, a value of `models.account.Strategy`."""
    created_at: float = 0.0
    updated_at: float = 0.0
