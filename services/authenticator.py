"""Who calls: a key from the headers, looked up by its hash in the snapshot."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from auth.keys import hash_key
from models.errors import Unauthorized
from models.ports import Clock
from models.principal import ApiKey, Principal
from services.snapshot import Snapshot

_MAX_KEY_LENGTH: Final = 512
_BEARER: Final = "bearer "
_REFUSED: Final = "the API key is missing or not valid"

EXTERNAL_ADMIN: Final = Principal("external-admin", "admin key from the environment", True)
"""The holder of `security.admin_key`."""


class Authenticator:
    """Finds the principal behind a request."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        look_again: Callable[[], Awaitable[None]],
        pepper: bytes,
        clock: Clock,
        *,
        admin_key: str | None = None,
    ) -> None:
        """`look_again` reloads the snapshot for an unknown key; it limits itself."""
        self._snapshot = snapshot
        self._look_again = look_again
        self._pepper = pepper
        self._clock = clock
        self._admin_hash = hash_key(admin_key, pepper) if admin_key else None

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return the caller; raises Unauthorized.

        Where both `x-api-key` and `Authorization: Bearer` come, `x-api-key` wins. Unknown,
        expired and switched-off keys are told apart by nobody.
        """
        key_hash = hash_key(_presented(headers), self._pepper)
        if self._admin_hash is not None and hmac.compare_digest(key_hash, self._admin_hash):
            return EXTERNAL_ADMIN
        key = self._snapshot().keys.get(key_hash)
        if key is None:
            await self._look_again()
            key = self._snapshot().keys.get(key_hash)
        if key is None or not self._is_good(key):
            raise Unauthorized(_REFUSED)
        return Principal(key.id, key.name, key.is_admin, key.expires_at)

    def _is_good(self, key: ApiKey) -> bool:
        if not key.is_active:
            return False
        return key.expires_at is None or key.expires_at > self._clock.now()


def _presented(headers: Mapping[str, str]) -> str:
    key = headers.get("x-api-key", "").strip()
    if not key:
        authorization = headers.get("authorization", "")
        if authorization[:7].lower() == _BEARER:
            key = authorization[7:].strip()
    if not key or len(key) > _MAX_KEY_LENGTH:
        raise Unauthorized(_REFUSED)
    return key
