"""Shapes that all of `/api/v1` shares: lists, paging, errors, health."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from openapi.fields import DIGITS, MAX_INT, Answer, Body

T = TypeVar("T")


class Listing(Answer, Generic[T]):
    """A slice of a list and the length of the whole."""

    data: list[T]
    total: int
    """Entries in the whole list, filters applied."""
    limit: int
    offset: int


class PageQuery(Body):
    """Which slice of a list to give."""

    limit: Annotated[int, Field(ge=1, le=500), DIGITS] = 50
    """Entries to give at most."""
    offset: Annotated[int, Field(ge=0, le=MAX_INT), DIGITS] = 0
    """Entries to pass over."""


class ErrorFacts(Answer):
    """What went wrong."""

    code: str
    """Stable name of the error, such as `not_found`."""
    message: str
    """What went wrong and what to do, for people."""
    details: dict[str, object]
    """More, by kind of error. For 422: `fields`, a list of `{path, message}`."""


class ErrorAnswer(Answer):
    """Every error of `/api/v1`."""

    error: ErrorFacts


class HealthAnswer(Answer):
    """Whether the gateway serves."""

    status: Literal["ok", "not ready"]
    components: dict[str, Literal["ok", "degraded"]]
    """What it leans on: `database`, and `redis` where one is configured."""


class NameAnswer(Answer):
    """What answers here."""

    name: Literal["aigateway"]


class LiveAnswer(Answer):
    """Whether the process is alive."""

    status: Literal["ok"]
