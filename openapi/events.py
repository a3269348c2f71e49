"""Bodies of `/api/v1/events`."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, JsonValue

from models.event import Event, EventKind
from openapi.common import Listing, PageQuery
from openapi.fields import DIGITS, Answer, Body, Id, QueryWhen, instant


class EventQuery(PageQuery):
    """Which events to list, newest first."""

    kind: EventKind | None = None
    account_id: Id | None = None
    proxy_id: Id | None = None
    since: QueryWhen | None = None
    """Only events that happened then or later."""


class EventStreamQuery(Body):
    """Where to begin to listen."""

    after: Annotated[int, Field(ge=0), DIGITS] | None = None
    """Position of the last event that is known; without it, what happens from now on. The header
    `Last-Event-ID` says the same, and wins."""


class EventAnswer(Answer):
    """One thing that happened."""

    id: str
    at: datetime
    kind: EventKind
    message: str
    """One sentence for a person."""
    provider_id: str | None
    account_id: str | None
    proxy_id: str | None
    details: dict[str, JsonValue]
    """More, by kind."""
    position: int
    """Its place among all events, in the order in which they were stored."""

    @classmethod
    def of(cls, event: Event) -> "EventAnswer":
        """Show an event."""
        return cls(
            id=event.id,
            at=instant(event.at),
            kind=event.kind,
            message=event.message,
            provider_id=event.provider_id,
            account_id=event.account_id,
            proxy_id=event.proxy_id,
            details=event.details,
            position=event.position,
        )


class EventList(Listing[EventAnswer]):
    """A page of events."""
