"""`/api/v1/affinity`."""

from functools import partial

from aiohttp import web

from handlers.bodies import body, listing, nothing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.affinity import (
    BindingAnswer,
    BindingList,
    BindingMove,
    BindingPurge,
    BindingQuery,
)
from openapi.fields import instant
from services.bindings import Binding

_ALL = "/api/v1/affinity"
_route = partial(Endpoint, access=Access.ADMIN, tag="affinity")


def endpoints() -> list[Endpoint]:
    """Return the routes of conversations and their accounts."""
    return [
        _route(
            "GET",
            _ALL,
            _list,
            summary="List conversations and their accounts, as the answering process knows them",
            query=BindingQuery,
            response=BindingList,
        ),
        _route(
            "PUT",
            f"{_ALL}/{{id}}",
            _move,
            summary="Let a conversation live with another account",
            request=BindingMove,
            status=204,
        ),
        _route(
            "DELETE",
            _ALL,
            _purge,
            summary="Let conversations forget their account: one, or all of an account or a key",
            query=BindingPurge,
            status=204,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    asked = query(request, BindingQuery)
    page = request.app[GATEWAY].affinity.page(
        account_id=asked.account_id, key_id=asked.key_id, limit=asked.limit, offset=asked.offset
    )
    return listing(page, _shown, BindingList)


async def _move(request: web.Request) -> web.Response:
    wanted = await body(request, BindingMove)
    await request.app[GATEWAY].affinity.move(path_id(request), wanted.account_id)
    return nothing()


async def _purge(request: web.Request) -> web.Response:
    asked = query(request, BindingPurge)
    await request.app[GATEWAY].affinity.purge(
        session=asked.session, account_id=asked.account_id, key_id=asked.key_id
    )
    return nothing()


def _shown(binding: Binding) -> BindingAnswer:
    return BindingAnswer(
        session=binding.id,
        account_id=binding.home,
        lender_id=binding.lender,
        provider_id=binding.provider_id,
        family=binding.family,
        key_id=binding.key_id,
        cached_tokens=binding.cached_tokens,
        bound_at=instant(binding.bound_at),
        seen_at=instant(binding.seen_at),
    )
