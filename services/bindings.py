"""Which account each conversation is bound to: what this process remembers, and what all share.

A binding is known for a while after the last turn. This process holds so many of them, those of
the oldest turns go first; Redis, where there is one, holds all. Writing never delays a request:
it happens behind it, so many at once, and what is left out is written with the next turn.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Final

from dialects.fields import dumps, parse_lenient
from models.ids import new_id
from models.json_types import JsonObject
from models.ports import Clock
from repositories.base import SharedState
from services.background import Background

logger = logging.getLogger(__name__)

CHANNEL: Final = "aigateway:affinity"

_PREFIX: Final = "affinity:"
_VOID: Final = "affinity_void"
_MAX_REMEMBERED: Final = 20_000
_MAX_WRITES: Final = 1_000
_RENEWALS: Final = 12
"""So often within its life a binding in use is renewed: this old may be what a process believes
when it did not hear of a change."""
_LOOK_EVERY_S: Final = 30.0
_KEPT_VOIDS_S: Final = 8 * 86_400.0
"""Longer than any binding lives."""


@dataclass(slots=True)
class Binding:
    """Where a conversation lives, and what this process saw of it."""

    id: str
    key_id: str
    provider_id: str
    family: str
    home: str
    """Account id."""
    bound_at: float
    """Epoch seconds."""
    seen_at: float
    renewed_at: float
    lender: str | None = None
    """The account that serves as long as the home cannot."""
    cached_tokens: int | None = None
    """What its account had in the cache after the last turn; None when this process saw none."""

    @property
    def value(self) -> bytes:
        """What replicas share of it."""
        return f"{self.home} {self.bound_at:.3f} {self.lender or ''}".encode()

    def take(self, value: bytes) -> bool:
        """Become what replicas share; False for what is no such thing."""
        parts = value.decode("ascii", "replace").split(" ")
        try:
            home, bound_at, lender = parts[0], float(parts[1]), parts[2]
        except (IndexError, ValueError):
            return False
        if home != self.home:
            self.cached_tokens = None
        self.home, self.bound_at, self.lender = home, bound_at, lender or None
        return bool(home)


class Bindings:
    """The bindings that this process knows of."""

    def __init__(
        self, shared: SharedState, background: Background, clock: Clock, *, ttl_s: float
    ) -> None:
        self._shared = shared
        self._background = background
        self._clock = clock
        self._ttl_s = ttl_s
        self._renew_every_s = ttl_s / _RENEWALS
        self._known: dict[str, Binding] = {}  # those of the last turns stand last
        self._voids: dict[str, float] = {}
        self.writes = 0
        """How many are on their way."""
        self._name = new_id()

    @property
    def can_ask(self) -> bool:
        """Whether others may know more than this process."""
        return self._shared.mode == "redis" and self._shared.is_available

    def __iter__(self) -> Iterator[Binding]:
        """Yield what this process knows, the last turn first."""
        now = self._clock.now()
        return (one for one in reversed(list(self._known.values())) if self._is_alive(one, now))

    # --- for requests -------------------------------------------------------------------------

    def find(self, binding_id: str) -> Binding | None:
        """Return what this process knows."""
        found = self._known.get(binding_id)
        if found is None or self._is_alive(found, self._clock.now()):
            return found
        del self._known[binding_id]
        return None

    async def ask(self, binding_id: str, key_id: str, provider_id: str, family: str) -> None:
        """Learn what all share: one round trip. `find` knows it then, if there is anything."""
        value = await self._shared.get(_PREFIX + binding_id)
        if value is None:
            return
        now = self._clock.now()
        binding = self._known.get(binding_id) or Binding(
            binding_id, key_id, provider_id, family, "", now, now, now
        )
        if binding.take(value) and self._is_alive(binding, now):
            self._remember(binding)
        else:
            self._known.pop(binding_id, None)

    def begin(
        self, binding_id: str, key_id: str, provider_id: str, family: str, home: str
    ) -> Binding:
        """Bind, unless it is bound already: of first turns at the same time one wins."""
        now = self._clock.now()
        known = self._known.get(binding_id)
        if known is not None and self._is_alive(known, now):
            self._keep(known, now)
            return known
        binding = Binding(binding_id, key_id, provider_id, family, home, now, now, now)
        self._remember(binding)
        self._write(self._bind(binding))
        return binding

    def keep(self, binding: Binding) -> None:
        """Let it live on: it had another turn."""
        self._keep(binding, self._clock.now())

    def _keep(self, binding: Binding, now: float) -> None:
        binding.seen_at = now
        self._remember(binding)
        if now - binding.renewed_at >= self._renew_every_s:
            binding.renewed_at = now
            self._write(self._renew(binding))

    def lend(self, binding: Binding, lender: str) -> None:
        """Let another account serve in its home's stead, which stays its home."""
        binding.lender = lender
        self._rewrite(binding)

    def move(self, binding: Binding, home: str) -> None:
        """Bind to another account from now on, and tell it."""
        now = self._clock.now()
        binding.home, binding.lender, binding.bound_at = home, None, now
        self._rewrite(binding)
        self._tell({"forget": binding.id})

    # --- for operators ------------------------------------------------------------------------

    async def peek(self, binding_id: str, key_id: str) -> Binding | None:
        """Return what is known of a binding, here or by all; nothing is remembered of it."""
        now = self._clock.now()
        found = self._known.get(binding_id)
        if found is None and (value := await self._shared.get(_PREFIX + binding_id)) is not None:
            found = Binding(binding_id, key_id, "", "", "", now, now, now)
            found = found if found.take(value) else None
        return found if found is not None and self._is_alive(found, now) else None

    async def rebind(self, binding_id: str, home: str) -> bool:
        """Bind a conversation to another account, for all; False when nobody knows it."""
        key, now = _PREFIX + binding_id, self._clock.now()
        is_shared = await self._shared.get(key) is not None
        known = self.find(binding_id)
        if known is not None:
            known.home, known.lender, known.bound_at, known.cached_tokens = home, None, now, None
        elif not is_shared:
            return False
        told = known or Binding(binding_id, "", "", "", home, now, now, now)
        await self._shared.put(key, told.value, self._ttl_s)
        await self._publish({"forget": binding_id})
        return True

    async def forget(self, binding_id: str) -> None:
        """Drop one binding, for all."""
        self._known.pop(binding_id, None)
        await self._shared.delete(_PREFIX + binding_id)
        await self._publish({"forget": binding_id})

    async def void(self, subject: str) -> None:
        """Drop for all what was bound until now to an account (`account:<id>`), or by a client
        key (`key:<id>`)."""
        now = self._clock.now()
        self._voids[subject] = now
        await self._shared.raise_field(_VOID, subject, now, f"{now:.3f}".encode())
        await self._publish({"void": subject, "at": now})

    # --- between replicas ---------------------------------------------------------------------

    async def listen(self) -> None:
        """Take in what other replicas tell, until cancelled."""
        async for message in self._shared.subscribe(CHANNEL):
            match parse_lenient(message):
                case {"from": self._name}:
                    pass
                case {"forget": str(binding_id)}:
                    self._known.pop(binding_id, None)
                case {"void": str(subject), "at": int(at) | float(at)}:
                    self._voids[subject] = max(float(at), self._voids.get(subject, 0.0))
                case _:
                    logger.warning("an affinity message was not understood")

    async def follow(self) -> None:
        """Learn from time to time what was made void while this process did not listen, until
        cancelled."""
        while True:
            await self._look_around()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look_around(self) -> None:
        """Take in what was made void, and forget what is long ago."""
        now = self._clock.now()
        for subject, at in (await self._shared.fields(_VOID)).items():
            try:
                self._voids[subject] = max(float(at), self._voids.get(subject, 0.0))
            except ValueError:
                logger.warning("a void binding was not understood")
        for subject in [name for name, at in self._voids.items() if at < now - _KEPT_VOIDS_S]:
            del self._voids[subject]
            await self._shared.drop_field(_VOID, subject)

    # --- parts --------------------------------------------------------------------------------

    def _is_alive(self, binding: Binding, now: float) -> bool:
        if now - binding.seen_at >= self._ttl_s:
            return False
        if not self._voids:
            return True
        voids = self._voids
        of_account = voids.get(f"account:{binding.home}", 0.0)
        return binding.bound_at > max(of_account, voids.get(f"key:{binding.key_id}", 0.0))

    def _remember(self, binding: Binding) -> None:
        """Put a binding last, and drop the first when there are too many."""
        known, binding_id = self._known, binding.id
        known.pop(binding_id, None)
        known[binding_id] = binding
        if len(known) > _MAX_REMEMBERED:
            del known[next(iter(known))]

    def _rewrite(self, binding: Binding) -> None:
        now = self._clock.now()
        binding.seen_at = binding.renewed_at = now
        self._remember(binding)
        self._write(self._shared.put(_PREFIX + binding.id, binding.value, self._ttl_s))

    async def _bind(self, binding: Binding) -> None:
        """Bind for all; where another replica knows better, believe it."""
        key, value = _PREFIX + binding.id, binding.value
        found = await self._shared.bind(key, value, self._ttl_s)
        if found == value:
            return
        other = replace(binding)
        if other.take(found) and self._is_alive(other, self._clock.now()):
            binding.take(found)
        else:
            await self._shared.put(key, value, self._ttl_s)

    async def _renew(self, binding: Binding) -> None:
        await self._bind(binding)
        await self._shared.touch(_PREFIX + binding.id, self._ttl_s)

    def _tell(self, message: JsonObject) -> None:
        self._write(self._publish(message))

    async def _publish(self, message: JsonObject) -> None:
        await self._shared.publish(CHANNEL, dumps({**message, "from": self._name}))

    def _write(self, work: Coroutine[object, object, object]) -> None:
        """Share something behind the request; alone, or when too much waits, it is left out."""
        if not self.can_ask or self.writes >= _MAX_WRITES:
            work.close()
            return
        self.writes += 1
        self._background.spawn("affinity.write", self._counted(work))

    async def _counted(self, work: Coroutine[object, object, object]) -> None:
        try:
            await work
        finally:
            self.writes -= 1
