"""`/api/v1/accounts/import` and `/export`."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from handlers.bodies import answer, body
from handlers.calls import check_type, read_body
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.account import Account
from models.sealed_file import SealedFile
from openapi.fields import instant
from openapi.reading import read_json
from openapi.transfer import (
    MAX_IMPORT_BYTES,
    AccountExport,
    AccountExportAnswer,
    AccountImport,
    AccountImportAnswer,
    ExportedAccount,
    ImportedAccount,
    SealedAccounts,
)
from services.transfer_entries import Entry

_IMPORT = "/api/v1/accounts/import"
_EXPORT = "/api/v1/accounts/export"
_FILE = 'attachment; filename="aigateway-accounts.json"'
_route = partial(Endpoint, access=Access.ADMIN, tag="accounts")


def endpoints() -> list[Endpoint]:
    """Return the routes of many accounts at once."""
    return [
        _route(
            "POST",
            _IMPORT,
            _import,
            summary="Add many accounts, plain or from a sealed file",
            request=AccountImport,
            response=AccountImportAnswer,
        ),
        _route(
            "GET",
            _EXPORT,
            _export,
            summary="Export every account without its credential",
            response=AccountExportAnswer,
        ),
        _route(
            "POST",
            _EXPORT,
            _export_sealed,
            summary="Export every account with its credential, sealed under a passphrase",
            request=AccountExport,
            response=SealedAccounts,
        ),
    ]


# Thousands of accounts are read, and written, beside the event loop.


async def _import(request: web.Request) -> web.Response:
    check_type(request.headers.get("content-type"))
    given = await read_body(request, max_bytes=MAX_IMPORT_BYTES)
    asked = await asyncio.to_thread(read_json, AccountImport, given)
    entries = await request.app[GATEWAY].account_care.transfer.take(asked)
    return await asyncio.to_thread(_taken, entries, dry_run=asked.dry_run)


async def _export(request: web.Request) -> web.Response:
    transfer = request.app[GATEWAY].account_care.transfer
    return await asyncio.to_thread(_shown, await transfer.shown(), transfer.now())


async def _export_sealed(request: web.Request) -> web.Response:
    asked = await body(request, AccountExport)
    passphrase = asked.passphrase.get_secret_value()
    sealed = await request.app[GATEWAY].account_care.transfer.sealed(passphrase)
    return await asyncio.to_thread(_file, sealed)


def _taken(entries: Sequence[Entry], *, dry_run: bool) -> web.Response:
    counts = Counter(entry.outcome for entry in entries)
    return answer(
        AccountImportAnswer(
            dry_run=dry_run,
            created=counts["created"],
            updated=counts["updated"],
            exists=counts["exists"],
            invalid=counts["invalid"],
            data=[_entry(entry) for entry in entries],
        )
    )


def _entry(entry: Entry) -> ImportedAccount:
    return ImportedAccount(
        index=entry.index,
        outcome=entry.outcome,
        account_id=entry.account_id,
        label="" if entry.body is None else entry.body.label,
        reason=entry.reason,
    )


def _shown(accounts: Sequence[Account], now: float) -> web.Response:
    shown = [ExportedAccount.of(account) for account in accounts]
    response = answer(AccountExportAnswer(exported_at=instant(now), accounts=shown))
    response.headers["Content-Disposition"] = _FILE
    return response


def _file(sealed: SealedFile) -> web.Response:
    response = answer(SealedAccounts.of(sealed))
    response.headers["Content-Disposition"] = _FILE
    return response
