"""What replicas tell each other about tokens: sealed copies and running backoffs.

All of it may be lost at any time: the database and the journals hold the truth.
"""

import logging
from dataclasses import dataclass
from typing import Final

import orjson

from auth.vault import Vault
from models.account import Account
from models.errors import GatewayError
from models.ports import Clock
from repositories.base import SharedState
from services.sealed import TokenRecord, open_record, seal_record

logger = logging.getLogger(__name__)

TOKENS_CHANNEL: Final = "aigateway:tokens"

_PLACE: Final = "shared"
_DAY_S: Final = 86_400.0
# Remembered beyond its end, so that whoever tries next knows how often it failed before.
_BACKOFF_MEMORY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Until when nobody asks for a new token, and why."""

    token_version: int
    failures: int
    """Failures in a row."""
    until: float
    """Epoch seconds UTC."""
    reason: str
    at: float = 0.0
    """When it failed last."""


class SharedTokens:
    """Sealed tokens and backoffs in shared state."""

    def __init__(self, shared: SharedState, vault: Vault, clock: Clock) -> None:
        self._shared = shared
        self._vault = vault
        self._clock = clock
        # Our own backoffs hold also while the shared state is away.
        self._backoffs: dict[str, Backoff] = {}

    async def newest(self, account: Account) -> TokenRecord | None:
        """Return the tokens last published, if they are newer than the account's."""
        return await self._newer(_key(account), account)

    async def reply(self, account: Account) -> TokenRecord | None:
        """Return what a refresh of the account's present version brought.

        It is there before the database has it, also when whoever asked died in between.
        """
        return await self._newer(_reply_key(account, account.token_version + 1), account)

    async def put_reply(self, account: Account, record: TokenRecord) -> None:
        """Keep a copy of an answer that the database does not have yet."""
        await self._put(_reply_key(account, record.token_version), record, _DAY_S)

    async def publish(self, account: Account, record: TokenRecord) -> None:
        """Let the other replicas have the tokens until they expire."""
        expires_at = record.credentials.expires_at
        left_s = _DAY_S if expires_at is None else expires_at - self._clock.now()
        if left_s > 0:
            await self._put(_key(account), record, left_s)
        await self._shared.publish(TOKENS_CHANNEL, account.id.encode())

    async def settle(self, account: Account, record: TokenRecord) -> None:
        """Forget the copy of an answer: the database has it."""
        await self._shared.delete(_reply_key(account, record.token_version))

    async def backoff(self, account: Account) -> Backoff | None:
        """Return the last backoff of the account's present tokens, running or past."""
        value = await self._shared.get(_backoff_key(account))
        try:
            shared = Backoff(*orjson.loads(value or b"null"))
        except (ValueError, TypeError):
            shared = None
        found = [
            backoff
            for backoff in (shared, self._backoffs.get(account.id))
            if backoff is not None and backoff.token_version == account.token_version
        ]
        return max(found, key=lambda backoff: backoff.until, default=None)

    async def put_backoff(self, account: Account, backoff: Backoff) -> None:
        """Let no replica ask before the backoff ends."""
        self._backoffs[account.id] = backoff
        ttl_s = max(0.0, backoff.until - self._clock.now()) + _BACKOFF_MEMORY_S
        fields = (
            backoff.token_version, backoff.failures, backoff.until, backoff.reason, backoff.at
        )  # fmt: skip
        await self._shared.put(_backoff_key(account), orjson.dumps(fields), ttl_s)

    def forget(self, account_id: str) -> None:
        """Forget our own backoff of an account that has new tokens or is gone."""
        self._backoffs.pop(account_id, None)

    async def _newer(self, key: str, account: Account) -> TokenRecord | None:
        value = await self._shared.get(key)
        if value is None:
            return None
        try:
            record = open_record(self._vault, _PLACE, account.id, value.decode("ascii", "replace"))
        except GatewayError as error:
            logger.warning("shared token unreadable", extra={"error": error.message})
            return None
        return record if record.token_version > account.token_version else None

    async def _put(self, key: str, record: TokenRecord, ttl_s: float) -> None:
        sealed = seal_record(self._vault, _PLACE, record)
        await self._shared.put(key, sealed.encode(), ttl_s)


def _key(account: Account) -> str:
    return f"auth:{account.provider_id}:{account.id}"


def _reply_key(account: Account, token_version: int) -> str:
    return f"{_key(account)}:{token_version}"


def _backoff_key(account: Account) -> str:
    return f"{_key(account)}:backoff"
