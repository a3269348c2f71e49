"""Bodies of what is done with one account: test it, switch it on and off, let it drain."""

from typing import Annotated, Literal

from pydantic import Field

from openapi.fields import Answer, ModelName, OptionalBody, Reason

_LONGEST_S = 30 * 86_400.0


class AccountTest(OptionalBody):
    """What to ask the provider for."""

    kind: Literal["generate", "models"] = "generate"
    """A model for a word, which costs a few tokens, or the list of models, which costs nothing and
    says nothing of limits."""
    model: ModelName | None = None
    """As the provider knows it; null means a small one of those that are known."""
    dialect: Literal["messages", "chat", "responses", "gemini"] | None = None
    """In which of the provider's formats to ask; null means its main one."""


class AccountTestAnswer(Answer):
    """What came of it. A failure benches nobody."""

    ok: bool
    kind: Literal["generate", "models"]
    model: str | None
    exit: Literal["proxy", "direct", "none"]
    """How it left the house; `none`: it could not."""
    proxy_id: str | None
    status: int | None
    """The provider's status; null when none came."""
    latency_ms: float
    error: str | None
    """Stable name of the failure, such as `upstream_auth`."""
    blame: str | None
    """Who would have paid for it: `account`, `account_model`, `family`, `egress`, `provider`, or
    nobody (`request`)."""
    message: str | None
    remedy: str | None
    """What to do, such as an address to open."""


class AccountDisable(OptionalBody):
    """Switching an account off."""

    reason: Reason | None = None


class AccountDrain(OptionalBody):
    """Letting an account end what it has begun."""

    reason: Reason | None = None
    disable_when_idle: bool = True
    """Switch it off once nothing is under way and its conversations have ended."""
    deadline_s: Annotated[float, Field(ge=0, le=_LONGEST_S)] | None = None
    """Switch it off after so long at the latest, whatever is under way; null: no limit."""
