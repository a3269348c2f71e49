"""Answers of the Responses format that clients come back to: kept per API key, sealed, for a time.

They lie in shared state, so every replica finds them. That state may be lost; an answer never is:
what cannot be kept is given all the same. Without Redis they end with the process.
"""

import asyncio
import logging
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from auth.vault import Vault
from dialects.fields import dumps, parse_object
from models.errors import (
    BadRequest,
    GatewayError,
    NotFound,
    PayloadTooLarge,
    StorageUnavailable,
)
from models.json_types import Json, JsonObject
from repositories.base import SharedState
from services.aside import aside

logger = logging.getLogger(__name__)

_TABLE: Final = "responses"
_COLUMN: Final = "shared"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_MAX_ITEMS: Final = 128
"""Of one answer that can be found by themselves, and that one request may name."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a later request may build upon."""

    input: Sequence[Json] = field(repr=False)
    """Every item that led to the answer, those of earlier answers included."""
    response: JsonObject = field(repr=False)
    """The answer as the client got it."""

    @property
    def output(self) -> list[JsonObject]:
        """The items of the answer."""
        output = self.response.get("output")
        return (
            [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
        )


@dataclass(frozen=True, slots=True)
class Keeping:
    """Whether, for how long and up to which size answers are kept."""

    is_on: bool = True
    ttl_s: float = 604_800.0
    max_bytes: int = 4 * 1024 * 1024
    """Of one answer and all its input, as JSON; larger ones are not kept."""


class StoredResponses:
    """The kept answers of all keys; each key sees its own."""

    def __init__(self, shared: SharedState, vault: Vault, keeping: Keeping) -> None:
        self._shared = shared
        self._vault = vault
        self.keeping = keeping
        self._has_complained = False

    async def put(self, key_id: str, stored: StoredResponse) -> None:
        """Keep an answer, if it may be; never raises for one that cannot be kept."""
        response_id = stored.response.get("id")
        if not isinstance(response_id, str) or _ID.fullmatch(response_id) is None:
            return
        try:
            plain = dumps({"input": list(stored.input), "response": stored.response})
        except BadRequest:  # a provider nested its answer too deeply
            return
        if len(plain) > self.keeping.max_bytes:
            self._complain(len(plain))
            return
        place = f"{key_id}:{response_id}"
        sealed = await aside(len(plain), lambda: self._sealed(place, plain))
        ttl_s = self.keeping.ttl_s
        await self._shared.put(_key(place), sealed, ttl_s)
        # Clients may name single items of an answer instead of the whole.
        names = [f"{key_id}:item:{item_id}" for item_id in _item_ids(stored)]
        await asyncio.gather(
            *(self._shared.put(_key(name), response_id.encode(), ttl_s) for name in names)
        )

    async def get(self, key_id: str, response_id: str) -> StoredResponse:
        """Return a kept answer; raises NotFound, or StorageUnavailable when nobody knows."""
        place = f"{key_id}:{response_id}"
        sealed = await self._found(place) if _ID.fullmatch(response_id) else None
        opened = None
        if sealed is not None:
            opened = await aside(len(sealed), lambda: self._opened(place, sealed))
        if opened is None:
            raise NotFound("there is no stored response with this id", path="id")
        return opened

    async def items(self, key_id: str, item_ids: Sequence[str]) -> dict[str, JsonObject]:
        """Return items of kept answers by their ids; those that are not known are left out.

        Together they are as large as one kept answer at most: else few bytes would ask for many.
        Raises BadRequest, PayloadTooLarge, or StorageUnavailable when nobody knows.
        """
        wanted = frozenset(item_ids)
        if len(wanted) < len(item_ids) or len(wanted) > _MAX_ITEMS:
            raise BadRequest(f"input: names an item twice, or over {_MAX_ITEMS}", path="input")
        known = sorted(item_id for item_id in wanted if _ID.fullmatch(item_id))
        holders = [await self._found(f"{key_id}:item:{item_id}") for item_id in known]
        found: dict[str, JsonObject] = {}
        size_bytes = 0
        for holder in dict.fromkeys(holder for holder in holders if holder is not None):
            with suppress(NotFound):
                stored = await self.get(key_id, holder.decode("ascii", "replace"))
                named = {str(item.get("id")): item for item in stored.output}
                found |= {item_id: named[item_id] for item_id in named.keys() & wanted}
                size_bytes += sum(len(dumps(named[one])) for one in named.keys() & wanted)
            if size_bytes > self.keeping.max_bytes:
                raise PayloadTooLarge("the items that the input names are too large together")
        return found

    async def delete(self, key_id: str, response_id: str) -> None:
        """Forget an answer; raises NotFound or StorageUnavailable."""
        stored = await self.get(key_id, response_id)
        places = [f"{key_id}:item:{item_id}" for item_id in _item_ids(stored)]
        for place in (*places, f"{key_id}:{response_id}"):
            await self._shared.delete(_key(place))

    async def _found(self, place: str) -> bytes | None:
        found = await self._shared.get(_key(place))
        if found is None and not self._shared.is_available:
            raise StorageUnavailable("stored responses cannot be read now", retry_after_s=1)
        return found

    def _sealed(self, place: str, plain: bytes) -> bytes:
        packed = zlib.compress(plain, 1)
        return self._vault.seal(packed, table=_TABLE, column=_COLUMN, row_id=place).encode()

    def _opened(self, place: str, sealed: bytes) -> StoredResponse | None:
        try:
            text = sealed.decode("ascii", "replace")
            packed = self._vault.open(text, table=_TABLE, column=_COLUMN, row_id=place)
            fields = parse_object(zlib.decompress(packed))
            told, response = fields["input"], fields["response"]
            if isinstance(told, list) and isinstance(response, dict):
                return StoredResponse(told, response)
        except (GatewayError, zlib.error, KeyError):
            pass  # the cause may show the content
        logger.warning("a stored response cannot be opened: another master key, or release")
        return None

    def _complain(self, size_bytes: int) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning("a response is too large to be stored", extra={"bytes": size_bytes})


def _key(place: str) -> str:
    return f"responses:{place}"


def _item_ids(stored: StoredResponse) -> list[str]:
    ids = [item_id for item in stored.output if isinstance(item_id := item.get("id"), str)]
    return [item_id for item_id in ids if _ID.fullmatch(item_id)][:_MAX_ITEMS]
