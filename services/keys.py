"""What operators do with client keys."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from auth.keys import hash_key, hint, new_key
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.ports import Clock
from models.principal import ApiKey
from openapi.api_keys import KeyCreate, KeyPatch, KeyReplace
from openapi.common import PageQuery
from repositories.base import KeyRepository, Page, _Unset
from services.changes import given

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, and the secret that only its maker sees."""

    key: ApiKey
    secret: str = field(repr=False)


class Keys:
    """Client keys. The last usable admin key cannot be taken away."""

    def __init__(
        self,
        keys: KeyRepository,
        pepper: bytes,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        has_outside_admin_key: bool = False,
    ) -> None:
        """`has_outside_admin_key`: one comes from the settings, so none here is the last."""
        self._keys = keys
        self._pepper = pepper
        self._changed = changed
        self._clock = clock
        self._has_outside_admin_key = has_outside_admin_key
        # Two changes at once must not each see the other's key as the remaining one. Over
        # several processes that stays possible; `aigateway keys create --admin` is the way back.
        self._changing = asyncio.Lock()

    async def page(self, query: PageQuery) -> Page[ApiKey]:
        return await self._keys.page(limit=query.limit, offset=query.offset)

    async def get(self, key_id: str) -> ApiKey:
        """Raises NotFound."""
        key = await self._keys.get(key_id)
        if key is None:
            raise NotFound(f"there is no key {key_id}")
        return key

    async def create(self, body: KeyCreate) -> NewKey:
        """Make a key; only its hash is kept."""
        secret = new_key()
        key = await self._keys.create(
            ApiKey(
                id=new_id(),
                name=body.name,
                key_hash=hash_key(secret, self._pepper),
                hint=hint(secret),
                is_admin=body.is_admin,
                expires_at=body.expires_at,
                created_at=self._clock.now(),
            )
        )
        await self._changed()
        return NewKey(key, secret)

    async def patch(self, key_id: str, body: KeyPatch) -> ApiKey:
        """Change the given fields. Raises Conflict for the last usable admin key."""
        return await self._update(
            key_id,
            name=given(body, "name", body.name),
            is_admin=given(body, "is_admin", body.is_admin),
            is_active=given(body, "is_active", body.is_active),
            expires_at=given(body, "expires_at", body.expires_at),
        )

    async def replace(self, key_id: str, body: KeyReplace) -> ApiKey:
        """Set every field. Raises Conflict for the last usable admin key."""
        return await self._update(
            key_id,
            name=body.name,
            is_admin=body.is_admin,
            is_active=body.is_active,
            expires_at=body.expires_at,
        )

    async def delete(self, key_id: str) -> None:
        """Raises NotFound, or Conflict for the last usable admin key."""
        async with self._changing:
            key = await self.get(key_id)
            await self._check_not_last(key, None)
            await self._keys.delete(key_id)
        await self._changed()

    async def _update(
        self,
        key_id: str,
        *,
        name: str | _Unset,
        is_admin: bool | _Unset,
        is_active: bool | _Unset,
        expires_at: float | None | _Unset,
    ) -> ApiKey:
        async with self._changing:
            key = await self.get(key_id)
            after = replace(
                key,
                is_admin=_or(is_admin, key.is_admin),
                is_active=_or(is_active, key.is_active),
                expires_at=_or(expires_at, key.expires_at),
            )
            await self._check_not_last(key, after)
            changed = await self._keys.update(
                key_id, name=name, is_admin=is_admin, is_active=is_active, expires_at=expires_at
            )
        await self._changed()
        return changed

    async def _check_not_last(self, before: ApiKey, after: ApiKey | None) -> None:
        """Raise Conflict when the change would leave nobody who can use `/api/v1`."""
        if self._has_outside_admin_key or not self._rules(before):
            return
        if after is not None and self._rules(after):
            return
        others = await self._keys.all()
        if not any(self._rules(key) for key in others if key.id != before.id):
            raise Conflict("this is the last usable admin key; create another one first")

    def _rules(self, key: ApiKey) -> bool:
        is_over = key.expires_at is not None and key.expires_at <= self._clock.now()
        return key.is_admin and key.is_active and not is_over


def _or(value: T | _Unset, otherwise: T) -> T:
    return otherwise if isinstance(value, _Unset) else value
