"""Who calls: a key out of the request, looked up by its hash in the snapshot."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

from auth.keys import key_hasher
from models.errors import Unauthorized
from models.ports import Clock
from models.principal import ApiKey, Principal
from services.snapshot import Snapshot

_MAX_KEY_LENGTH: Final = 512
_MOST_KNOWN: Final = 256
_HEADERS: Final = ("x-api-key", "x-goog-api-key", "authorization")
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
        hashed = key_hasher(pepper)
        # Programs present the same key with each call.
        self._hashes = lru_cache(_MOST_KNOWN)(partial(_hashes, hashed))
        self._clock = clock
        self._admin_hash = hashed(admin_key) if admin_key else None

    async def authenticate(self, headers: Mapping[str, str], query_key: str = "") -> Principal:
        """Return the caller; raises Unauthorized.

        Programs send their key in `x-api-key`, `x-goog-api-key`, `Authorization: Bearer`, or, where
        the route takes it, in the query string; some fill two of these and one with a placeholder.
        The first that is good counts, in this order. Unknown, expired and switched-off keys are
        told apart by nobody.
        """
        found = self.recognised(headers, query_key)
        if found is None:
            await self._look_again()
            found = self.recognised(headers, query_key)
        if found is None:
            raise Unauthorized(_REFUSED)
        return found

    def recognised(self, headers: Mapping[str, str], query_key: str = "") -> Principal | None:
        """Return the caller, by `authenticate`'s rules, if the key is known to this process; None
        when it may be a new one. Raises Unauthorized where there is no key."""
        presented = [headers.get(name, "") for name in _HEADERS]
        hashes = self._hashes(*presented, query_key)
        for key_hash in hashes:
            if self._admin_hash is not None and hmac.compare_digest(key_hash, self._admin_hash):
                return EXTERNAL_ADMIN
            key = self._snapshot().keys.get(key_hash)
            if key is not None and is_good(key, self._clock.now()):
                return key.principal
        if not hashes:
            raise Unauthorized(_REFUSED)
        return None


def is_good(key: ApiKey, now: float) -> bool:
    """Tell whether a stored key lets anybody in."""
    return key.is_active and (key.expires_at is None or key.expires_at > now)


def _hashes(
    hashed: Callable[[str], bytes], own: str, google: str, authorization: str, query: str
) -> Sequence[bytes]:
    """Return the hashes of what may be a key, by where it was found: four at most, none of a length
    that keys do not have."""
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    bearer = authorization[len(_BEARER) :] if is_bearer else ""
    places = (own, google, bearer, query)
    return [hashed(key) for place in places if 0 < len(key := place.strip()) <= _MAX_KEY_LENGTH]
