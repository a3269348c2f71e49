"""Who calls: a key out of the request, looked up by its hash in the snapshot."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
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

    async def authenticate(self, headers: Mapping[str, str], query_key: str = "") -> Principal:
        """Return the caller; raises Unauthorized.

        Programs send their key in `x-api-key`, `x-goog-api-key`, `Authorization: Bearer`, or, where
        the route takes it, in the query string; some fill two of these and one with a placeholder.
        The first that is good counts, in this order. Unknown, expired and switched-off keys are
        told apart by nobody.
        """
        hashes = [hash_key(key, self._pepper) for key in _presented(headers, query_key)]
        if not hashes:
            raise Unauthorized(_REFUSED)
        found = self._found(hashes)
        if found is None:
            await self._look_again()
            found = self._found(hashes)
        if found is None:
            raise Unauthorized(_REFUSED)
        return found

    def _found(self, hashes: Sequence[bytes]) -> Principal | None:
        known = self._snapshot().keys
        for key_hash in hashes:
            if self._admin_hash is not None and hmac.compare_digest(key_hash, self._admin_hash):
                return EXTERNAL_ADMIN
            key = known.get(key_hash)
            if key is not None and is_good(key, self._clock.now()):
                return Principal(key.id, key.name, key.is_admin, key.expires_at)
        return None


def is_good(key: ApiKey, now: float) -> bool:
    """Tell whether a stored key lets anybody in."""
    return key.is_active and (key.expires_at is None or key.expires_at > now)


def _presented(headers: Mapping[str, str], query_key: str) -> list[str]:
    """Return what may be a key: four at most, each once, none of a length that keys do not have."""
    authorization = headers.get("authorization", "")
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    places = (
        headers.get("x-api-key", ""),
        headers.get("x-goog-api-key", ""),
        authorization[len(_BEARER) :] if is_bearer else "",
        query_key,
    )
    keys = dict.fromkeys(place.strip() for place in places)
    return [key for key in keys if 0 < len(key) <= _MAX_KEY_LENGTH]
