"""What keeps proxies well, under `/api/v1/proxies`: probes, moves of accounts, and lists."""

import asyncio
from functools import partial

from aiohttp import web

from handlers.bodies import answer, body, path_id
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.egress import WatchedProxy, masked_url
from openapi.egress_care import (
    MAX_LIST_CHARS,
    ExportAnswer,
    ImportAnswer,
    ImportedLine,
    MoveAnswer,
    ProbeAnswer,
    ProxyImport,
    RehomeAnswer,
    RehomeBody,
)
from openapi.fields import instant, moment
from services.egress_lists import LineTaken
from services.egress_probes import Probed
from services.rehoming import Moved

_ALL = "/api/v1/proxies"
_ONE = "/api/v1/proxies/{id}"
_route = partial(Endpoint, access=Access.ADMIN, tag="proxies")


def endpoints() -> list[Endpoint]:
    """Return the routes that keep proxies well."""
    return [
        _route("POST", f"{_ONE}/test", _test, summary="Probe a proxy now", response=ProbeAnswer),
        _route(
            "POST",
            f"{_ONE}/rehome",
            _rehome,
            summary="Move the accounts of a proxy elsewhere, or tell who would go where",
            request=RehomeBody,
            response=RehomeAnswer,
        ),
        _route(
            "POST",
            f"{_ALL}/import",
            _import,
            summary="Add the proxies of a list",
            request=ProxyImport,
            response=ImportAnswer,
        ),
        _route(
            "GET",
            f"{_ALL}/export",
            _export,
            summary="List every address, passwords masked",
            response=ExportAnswer,
        ),
    ]


async def _test(request: web.Request) -> web.Response:
    gateway = request.app[GATEWAY]
    proxy = await gateway.egresses.get(path_id(request))
    found = await gateway.egress_care.probes.probe(proxy)
    return answer(_shown_probe(gateway.egresses.watched(proxy), found))


async def _rehome(request: web.Request) -> web.Response:
    proxy_id, asked = path_id(request), await body(request, RehomeBody)
    moves = await request.app[GATEWAY].egress_care.rehoming.rehome(proxy_id, dry_run=asked.dry_run)
    moved = sum(move.proxy_id is not None for move in moves)
    return answer(
        RehomeAnswer(
            dry_run=asked.dry_run,
            proxy_id=proxy_id,
            moved=moved,
            stayed=len(moves) - moved,
            moves=[_shown_move(move) for move in moves],
        )
    )


async def _import(request: web.Request) -> web.Response:
    # Each line break is two characters in JSON.
    asked = await body(request, ProxyImport, max_bytes=2 * MAX_LIST_CHARS)
    taken = await request.app[GATEWAY].egress_care.lists.take(asked)
    # Ten thousand lines take a while to write.
    return await asyncio.to_thread(_shown_import, taken, dry_run=asked.dry_run)


async def _export(request: web.Request) -> web.Response:
    lines = await request.app[GATEWAY].egress_care.lists.masked()
    return answer(ExportAnswer(total=len(lines), lines="".join(f"{line}\n" for line in lines)))


def _shown_probe(watched: WatchedProxy, found: Probed) -> ProbeAnswer:
    return ProbeAnswer(
        proxy_id=watched.proxy.id,
        is_reachable=found.error is None,
        fault=found.fault,
        error=found.reason,
        latency_ms=found.latency_ms,
        exit_address=found.exit.address,
        exit_country=found.exit.country,
        checked_at=instant(found.at),
        health=watched.condition.health,
        quarantined_until=moment(watched.condition.quarantined_until),
    )


def _shown_move(move: Moved) -> MoveAnswer:
    account = move.account
    return MoveAnswer(
        account_id=account.id,
        label=account.label,
        provider_id=account.provider_id,
        proxy_id=move.proxy_id,
    )


def _shown_import(taken: list[LineTaken], *, dry_run: bool) -> web.Response:
    return answer(ImportAnswer.of(map(_shown_line, taken), dry_run=dry_run))


def _shown_line(line: LineTaken) -> ImportedLine:
    return ImportedLine(
        line=line.number,
        result=line.fate.value,
        proxy_id=line.proxy_id,
        url=None if line.url is None else masked_url(line.url),
        reason=line.reason,
    )
