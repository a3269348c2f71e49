"""What operators do with accounts."""

import dataclasses
from collections.abc import Awaitable, Callable

from models.account import Account, AuthType, EgressPolicy, StoredAccount
from models.errors import NotFound
from models.ids import new_id
from models.ports import Clock
from openapi.accounts import (
    AccountCreate,
    AccountPatch,
    AccountQuery,
    AccountReplace,
    AuthData,
    OAuthData,
    auth_type_of,
)
from openapi.addresses import WEB_SCHEMES
from repositories.base import (
    UNSET,
    AccountChange,
    AccountRepository,
    Page,
    ProviderRepository,
)
from services.changes import given
from services.guard import AddressGuard
from services.new_account import new_account
from services.providers import auth_types_of
from services.refusals import check_address, check_provider, refused


class Accounts:
    """Accounts of the pool: each change is checked, stored and told to every replica."""

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

    async def page(self, query: AccountQuery) -> Page[Account]:
        return await self._accounts.page(
            limit=query.limit,
            offset=query.offset,
            provider_id=query.provider_id,
            is_active=query.is_active,
            egress_status=query.egress_status,
            proxy_id=query.proxy_id,
        )

    async def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        return (await self._stored(account_id)).account

    async def create(self, body: AccountCreate) -> Account:
        """Store an account and place it at a proxy, as its policy demands."""
        _check_shape(body.auth_type, body.auth_data)
        await check_provider(self._providers, body.provider_id)
        await self._check_auth_type(body.provider_id, body.auth_type)
        await self._check_address(body.auth_data)
        account = new_account(
            body, new_id(), self._clock.now(), default_policy=self._default_policy
        )
        created = await self._accounts.create(account, body.auth_data.credentials())
        await self._changed()
        return created

    async def patch(self, account_id: str, body: AccountPatch) -> Account:
        """Change the given fields."""
        stored = (await self._stored(account_id)).account
        if "provider_id" in body.model_fields_set:
            _check_same_provider(stored, body.provider_id)
        data = body.auth_data if "auth_data" in body.model_fields_set else None
        auth_type = given(body, "auth_type", body.auth_type)
        models = None if body.models is None else tuple(body.models)
        change = AccountChange(
            label=given(body, "label", body.label),
            metadata=given(body, "metadata", dict(body.metadata)),
            is_active=given(body, "is_active", body.is_active),
            priority=given(body, "priority", body.priority),
            models=given(body, "models", models),
            egress_policy=given(body, "egress_policy", body.egress_policy),
            max_concurrent=given(body, "max_concurrent", body.max_concurrent),
            weight=given(body, "weight", body.weight),
            identity=given(body, "identity", body.identity),
            auth_type=auth_type,
            credentials=UNSET if data is None else data.credentials(),
        )
        if "is_active" in body.model_fields_set:
            change = _not_draining(change)
        return await self._update(stored, data, change)

    async def replace(self, account_id: str, body: AccountReplace) -> Account:
        """Set every field; credentials that are not given stay."""
        stored = (await self._stored(account_id)).account
        _check_same_provider(stored, body.provider_id)
        data = body.auth_data
        change = AccountChange(
            label=body.label,
            metadata=dict(body.metadata),
            is_active=body.is_active,
            priority=body.priority,
            models=None if body.models is None else tuple(body.models),
            egress_policy=body.egress_policy or self._default_policy,
            max_concurrent=body.max_concurrent,
            weight=body.weight,
            identity=body.identity,
            auth_type=body.auth_type,
            credentials=UNSET if data is None else data.credentials(),
        )
        return await self._update(stored, data, _not_draining(change))

    async def delete(self, account_id: str) -> None:
        """Delete; its place at a proxy goes to a waiting account."""
        await self._accounts.delete(account_id)
        await self._changed()

    async def reset(self, account_id: str) -> Account:
        """Void the account's cooldowns on every replica."""
        account = await self._accounts.reset_cooldowns(account_id, self._clock.now())
        await self._changed()
        return account

    async def _stored(self, account_id: str) -> StoredAccount:
        stored = await self._accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        return stored

    async def _update(
        self, stored: Account, data: AuthData | None, change: AccountChange
    ) -> Account:
        auth_type = change.auth_type if isinstance(change.auth_type, AuthType) else stored.auth_type
        if data is not None:
            _check_shape(auth_type, data)
            await self._check_auth_type(stored.provider_id, auth_type)
            await self._check_address(data)
        elif auth_type is not stored.auth_type:
            raise refused("auth_data", "another auth_type needs a credential of its own")
        account = await self._accounts.update(stored.id, change)
        await self._changed()
        return account

    async def _check_auth_type(self, provider_id: str, auth_type: AuthType) -> None:
        row = await self._providers.get(provider_id)
        taken = auth_types_of(row) if row is not None else frozenset(AuthType)
        if auth_type not in taken:
            names = " or ".join(sorted(one.value for one in taken))
            raise refused("auth_type", f"provider {provider_id} takes {names}")

    async def _check_address(self, data: AuthData) -> None:
        if isinstance(data, OAuthData):
            await check_address(
                self._guard, data.token_url, schemes=WEB_SCHEMES, path="auth_data.token_url"
            )


def _not_draining(change: AccountChange) -> AccountChange:
    """Whoever sets whether an account is active has decided; it drains no more."""
    return dataclasses.replace(
        change, is_draining=False, draining_since=None, drain_until=None, status_reason=None
    )


def _check_shape(auth_type: AuthType, data: AuthData) -> None:
    if auth_type_of(data) is not auth_type:
        raise refused("auth_data", f"does not fit the auth_type {auth_type.value!r}")


def _check_same_provider(stored: Account, provider_id: str) -> None:
    if provider_id != stored.provider_id:
        raise refused("provider_id", "cannot be changed; create another account")
