"""Accounts in and out, many at once.

Out without secrets as they are shown, with secrets only as a file sealed under a passphrase. In:
each account by itself, so that one which is wrong does not keep out the others; one that is there
already, by its credential or by what the caller says, is not made twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from auth.sealed_file import seal, unseal
from dialects.fields import dumps, parse_object
from models.account import Account, AuthType, Credentials, EgressPolicy, StoredAccount
from models.batches import batches
from models.errors import BadRequest, Conflict, GatewayError
from models.ids import new_id
from models.json_types import Json
from models.ports import Clock
from models.sealed_file import SealedFile
from openapi.accounts import AccountCreate, OAuthData, auth_type_of
from openapi.addresses import WEB_SCHEMES
from openapi.reading import read_json
from openapi.transfer import MAX_ACCOUNTS, AccountImport, with_secrets
from repositories.base import AccountRepository, ProviderRepository
from services.guard import AddressGuard
from services.known_accounts import KnownAccounts
from services.lookups import refusals
from services.new_account import new_account
from services.providers import auth_types_of
from services.transfer_entries import Entry

_BATCH: Final = 100
"""Accounts that are created in one transaction: it holds the lock that all placements share."""


class Transfer:
    """Use cases behind `/api/v1/accounts/import` and `/export`."""

    def __init__(
        self,
        accounts: AccountRepository,
        providers: ProviderRepository,
        guard: AddressGuard,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        default_policy: EgressPolicy = EgressPolicy.AUTO,
    ) -> None:
        self._accounts = accounts
        self._providers = providers
        self._guard = guard
        self._changed = changed
        self._clock = clock
        self._default_policy = default_policy
        self._turn = asyncio.Lock()

    def now(self) -> float:
        """Epoch seconds UTC."""
        return self._clock.now()

    async def shown(self) -> list[Account]:
        """Return every account, in id order."""
        return [stored.account for stored in await self._accounts.all()]

    async def sealed(self, passphrase: str) -> SealedFile:
        """Return every account with its secrets, sealed under the passphrase."""
        stored = await self._accounts.all()
        async with self._turn:  # each takes 128 MiB for a moment
            return await asyncio.to_thread(_sealed, stored, passphrase)

    async def take(self, body: AccountImport) -> list[Entry]:
        """Add accounts; return what became of each, in the order given.

        Raises BadRequest for a file that does not open, and StorageUnavailable when the database
        goes away on the way: what is there by then is found when the import is made again.
        """
        async with self._turn:
            entries = await asyncio.to_thread(_read, body)
            await self._check(entries)
            known = KnownAccounts(await self._accounts.all(), by_label=body.match == "label")
            for entry in entries:
                known.find(entry)
            await self._check_addresses(entries, update=body.update)
            if not body.dry_run:
                await self._store(entries, update=body.update)
            elif body.update:
                for entry in entries:
                    if entry.outcome == "exists" and entry.change() is not None:
                        entry.outcome = "updated"
            return entries

    # --- checking -------------------------------------------------------------------------

    async def _check(self, entries: Sequence[Entry]) -> None:
        """Refuse what does not fit its provider."""
        taken = {row.id: auth_types_of(row) for row in await self._providers.all()}
        for entry in entries:
            if entry.body is not None:
                entry.reason = _misfit(entry.body, taken)
                if entry.reason is not None:
                    entry.outcome = "invalid"

    async def _check_addresses(self, entries: Sequence[Entry], *, update: bool) -> None:
        """Refuse token endpoints that the gateway may not connect to."""
        endpoints = {
            id(entry): entry.body.auth_data.token_url
            for entry in entries
            if (entry.outcome == "created" or (update and entry.known is not None))
            and entry.body is not None
            and isinstance(entry.body.auth_data, OAuthData)
        }
        reasons = await refusals(self._guard, endpoints.values(), schemes=WEB_SCHEMES)
        for entry in entries:
            reason = reasons.get(endpoints.get(id(entry), ""))
            if reason is not None:
                entry.outcome, entry.reason = "invalid", f"auth_data.token_url: {reason}"

    # --- storing --------------------------------------------------------------------------

    async def _store(self, entries: Sequence[Entry], *, update: bool) -> None:
        try:
            new = [entry for entry in entries if entry.outcome == "created"]
            for batch in batches(new, _BATCH):
                await self._create(batch)
            if update:
                for entry in entries:
                    await self._update(entry)
        finally:
            await self._changed()

    async def _create(self, entries: Sequence[Entry]) -> None:
        made = [self._account(entry) for entry in entries]
        try:
            await self._accounts.create_all(made)
        except Conflict:
            if len(entries) == 1:
                entries[0].outcome, entries[0].reason = "exists", "somebody added it meanwhile"
                entries[0].account_id = None
                return
            for entry in entries:  # all but the one in conflict can be had
                await self._create([entry])

    def _account(self, entry: Entry) -> tuple[Account, Credentials]:
        body = entry.given
        entry.account_id = new_id()
        account = new_account(
            body, entry.account_id, self._clock.now(), default_policy=self._default_policy
        )
        return account, body.auth_data.credentials()

    async def _update(self, entry: Entry) -> None:
        change = entry.change() if entry.outcome == "exists" else None
        if change is None or entry.account_id is None:
            return
        try:
            await self._accounts.update(entry.account_id, change)
        except Conflict:
            entry.outcome, entry.reason = "invalid", "identity: another account has it"
        else:
            entry.outcome = "updated"


def _sealed(stored: Sequence[StoredAccount], passphrase: str) -> SealedFile:
    accounts: list[Json] = [with_secrets(one.account, one.credentials) for one in stored]
    return seal(dumps({"accounts": accounts}), passphrase)


def _read(body: AccountImport) -> list[Entry]:
    """Read what is given, account by account."""
    given: Sequence[Json]
    if body.file is not None and body.passphrase is not None:
        plain = unseal(body.file.sealed(), body.passphrase.get_secret_value())
        inside = parse_object(plain).get("accounts")
        given = inside if isinstance(inside, list) else []
        if len(given) > MAX_ACCOUNTS:
            raise BadRequest(f"file: holds more than {MAX_ACCOUNTS} accounts", path="file")
    else:
        given = [*(body.accounts or ())]
    return [_entry(index, one) for index, one in enumerate(given)]


def _entry(index: int, given: Json) -> Entry:
    try:
        body = read_json(AccountCreate, dumps(given if isinstance(given, dict) else {}))
    except GatewayError as error:
        return Entry(index, None, outcome="invalid", reason=error.message)
    return Entry(index, body)


def _misfit(body: AccountCreate, taken: Mapping[str, frozenset[AuthType]]) -> str | None:
    if body.provider_id not in taken:
        return f"provider_id: there is no provider {body.provider_id!r}"
    if auth_type_of(body.auth_data) is not body.auth_type:
        return f"auth_data: does not fit the auth_type {body.auth_type.value!r}"
    if body.auth_type not in taken[body.provider_id]:
        return f"auth_type: provider {body.provider_id} does not take {body.auth_type.value}"
    return None
