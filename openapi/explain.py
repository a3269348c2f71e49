"""Bodies of `/api/v1/route/explain`: where a request would go, and why."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from models.attempt import Choice
from openapi.fields import Answer, Body, ModelName, QueryText


class ExplainQuestion(Body):
    """A request that nobody makes."""

    model: ModelName
    dialect: Annotated[str, StringConstraints(max_length=64)] | None = None
    """The client's format, such as `messages`, `chat`, `responses` or `gemini`. Without it, it
    stays open whether the request would be translated."""
    session: QueryText | None = None
    """Name of a conversation, as its client sends it; with `key_id`."""
    key_id: QueryText | None = None
    """Whose conversation it is: the id of a client key."""
    fallback: Annotated[list[ModelName], Field(max_length=8)] | None = None
    """Models that may serve in its stead; without it, as configured."""
    stream: bool = False


class AddressAnswer(Answer):
    """One address of a provider."""

    base_url: str
    breaker: Literal["closed", "open", "half_open"]
    """`open`: nobody is asked there. `half_open`: one request tries."""
    opens_at: datetime | None
    """When it is tried again."""


class PlannedCandidateAnswer(Answer):
    """One account of the pool."""

    account_id: str
    account_label: str | None
    proxy_id: str | None
    outcome: Literal["next", "eligible", "excluded"]
    reason: str
    """Why it would be next (`strategy`, `affinity`, ...), `not_its_turn`, or why it cannot
    serve."""


class NextAnswer(Answer):
    """Who would be next, if no other request came in between."""

    account_id: str
    account_label: str | None
    proxy_id: str | None
    """Null: it goes direct."""
    proxy_label: str | None
    choice: Choice


class HomeAnswer(Answer):
    """Where the conversation lives."""

    account_id: str
    account_label: str | None
    lender_id: str | None
    """The account that serves while that one cannot."""


class RefusalAnswer(Answer):
    """What a client would be told now."""

    status: int
    message: str
    retry_after_s: float | None


class PlannedRouteAnswer(Answer):
    """One provider that the request may go to."""

    provider_id: str
    model: str
    """As the provider knows it."""
    way: Literal["raw", "translated", "not_offered"] | None
    """Whether the body passes as it is. `not_offered`: the provider has no such call; a count is
    estimated then."""
    addresses: list[AddressAnswer]
    """In the order in which they are tried."""
    strategy: str
    counter: int | None
    """The number of the next request in the round; null where none decides."""
    home: HomeAnswer | None
    next: NextAnswer | None
    """Null: nobody could serve now."""
    trial_due: bool
    """Somebody's pause has opened: one request tries that account first, maybe this one."""
    candidates: list[PlannedCandidateAnswer]
    """At most 200."""
    counts: dict[str, int]
    """How many accounts are excluded, by reason."""
    refusal: RefusalAnswer | None


class PlannedModelAnswer(Answer):
    """One model that may serve."""

    model: str
    is_fallback: bool
    problem: str | None
    """Why no provider serves it."""
    routes: list[PlannedRouteAnswer]
    """In order of preference: the next one is tried when the one before cannot serve."""


class ExplainAnswer(Answer):
    """Where a request would go, as the process knows it that answers."""

    mode: Literal["sequential", "race"]
    """How the models are tried."""
    hedge_after_s: float | None
    """A stream without content is asked of a second account then; null: it is not."""
    models: list[PlannedModelAnswer]
