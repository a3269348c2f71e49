"""A route and everything that must be said about it. An undeclared route cannot exist."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    KEY = "key"
    """Any valid key: model calls."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route of the server. The table of these makes the router and the OpenAPI document."""

    method: str
    path: str
    """aiohttp syntax: `/api/v1/accounts/{id}`."""
    handler: Handler
    access: Access
    summary: str
    tag: str
    request: type[object] | None = None
    """Pydantic model of the body, from `openapi`; None for none or for a dialect's own."""
    response: type[object] | None = None
    """Pydantic model of the answer; None when it is not JSON of ours."""
    content_type: str | None = None
    """Of an answer that is not JSON."""
    status: int = 200
    query: type[object] | None = None
    """Pydantic model of the query string."""
    dialect: str | None = None
    """Name of the dialect in which errors of this route are told; None for `/api/v1` form."""
    takes_query_key: bool = False
    """Whether the caller's key may stand in the query string, as Google's clients may put it."""
