"""Brings rests and their ends to the other replicas, and theirs here.

Each goes out at once as a message, which may be lost. The truth are two hashes of the shared
state: rests ranked by their end, and ends ranked by when what ended had begun. Every replica
compares them with its own picture when it starts, when the shared state is back, and every few
seconds; each takes in what it lacks and writes down what they lack. So a lost message costs
seconds, and a replica that was cut off merges without anybody's rest being shortened.
"""

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.batches import batches
from models.ports import Clock
from models.rest import Rest
from repositories.base import SharedState
from services.rest_book import FORGOTTEN_S, SKEW_S, End, RestBook
from services.rest_messages import field_name, read, written

CHANNEL: Final = "aigateway:rests"
RESTS: Final = "aigateway:rests:begun"
ENDS: Final = "aigateway:rests:ended"

EVERY_S: Final = 5.0

_LOOK_S: Final = 0.5
_AT_ONCE: Final = 100
_MAX_WAITING: Final = 10_000


class RestSharing:
    """A follower of the book that tells, and the two loops that listen and compare."""

    def __init__(
        self, shared: SharedState, book: RestBook, clock: Clock, *, every_s: float = EVERY_S
    ) -> None:
        self._shared = shared
        self._book = book
        self._clock = clock
        self._every_s = every_s
        # When it is full the oldest go: they are written down at the next comparison.
        self._waiting: deque[Rest | End] = deque(maxlen=_MAX_WAITING)
        self._came = asyncio.Event()
        self._read: dict[str, tuple[bytes, Rest | End | None]] = {}
        self._compare_at = 0.0
        self._was_available = True

    # --- what happens here -----------------------------------------------------------------

    def began(self, rest: Rest, before: Rest | None) -> None:
        """Tell it, soon."""
        self._waiting.append(rest)
        self._came.set()

    def ended(self, rest: Rest, evidence: str | None) -> None:
        """Tell it, soon."""
        self._waiting.append(End(rest.subject, rest.scope, rest.began_at, rest.until))
        self._came.set()

    # --- loops -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell what waits and compare from time to time, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._came.wait()
            except TimeoutError:
                pass
            self._came.clear()
            await self.tell()
            if self._is_due():
                await self.compare()

    async def listen(self) -> None:
        """Take in what others tell, until cancelled."""
        async for message in self._shared.subscribe(CHANNEL):
            self._take(read(message))

    # --- telling -----------------------------------------------------------------------------

    async def tell(self) -> None:
        """Send out what waits."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            await self._write(batch, is_news=True)

    async def _write(self, told: Sequence[Rest | End], *, is_news: bool) -> None:
        """Write down and publish; what is no news only if nobody else wrote it down."""
        # Ends first: with one goes whatever rest is there, but not the one that follows it.
        for kind in (End, Rest):
            some = (one for one in told if isinstance(one, kind))
            await asyncio.gather(*(self._write_one(one, is_news=is_news) for one in some))

    async def _write_one(self, told: Rest | End, *, is_news: bool) -> None:
        name, value = field_name(told), written(told)
        if isinstance(told, Rest):
            is_set = await self._shared.raise_field(RESTS, name, told.until, value)
        else:
            is_set = await self._shared.raise_field(ENDS, name, told.began_at, value)
            await self._shared.drop_field(RESTS, name)
        if is_news or is_set:
            await self._shared.publish(CHANNEL, value)

    # --- comparing -----------------------------------------------------------------------------

    def _is_due(self) -> bool:
        is_back = self._shared.is_available and not self._was_available
        self._was_available = self._shared.is_available
        return self._was_available and (is_back or self._clock.monotonic() >= self._compare_at)

    async def compare(self) -> None:
        """Take in what is written down, and write down what is missing there."""
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - replicas must not march in step
        self._compare_at = self._clock.monotonic() + self._every_s * jitter
        values = await asyncio.gather(self._shared.fields(ENDS), self._shared.fields(RESTS))
        if not self._shared.is_available:
            return  # nothing was read, which says nothing
        theirs = self._understood(*values)
        for end in theirs.ends.values():
            self._take(end)
        for rest in theirs.rests.values():
            self._take(rest)
        await self._clean(theirs)
        await self._complete(theirs)

    def _understood(self, ends: Mapping[str, bytes], rests: Mapping[str, bytes]) -> "_Theirs":
        """Read the fields; one that is still what it was the last time is not read again."""
        values = {ENDS + name: value for name, value in ends.items()}
        values |= {RESTS + name: value for name, value in rests.items()}
        before, self._read = self._read, {}
        for name, value in values.items():
            kept = before.get(name)
            is_same = kept is not None and kept[0] == value
            self._read[name] = kept if kept is not None and is_same else (value, read(value))
        told = {name: told for name, (_, told) in self._read.items()}
        return _Theirs(
            {n: end if isinstance(end := told[ENDS + n], End) else None for n in ends},
            {n: rest if isinstance(rest := told[RESTS + n], Rest) else None for n in rests},
        )

    async def _clean(self, theirs: "_Theirs") -> None:
        """Remove what is over; whoever comes by does it."""
        now = self._clock.now()
        old = [(ENDS, n) for n, end in theirs.ends.items() if end is None or end.is_old(now)]
        old += [(RESTS, n) for n, rest in theirs.rests.items() if self._is_over(rest, now)]
        await asyncio.gather(*(self._shared.drop_field(key, name) for key, name in old))

    def _is_over(self, rest: Rest | None, now: float) -> bool:
        if rest is None or rest.until + FORGOTTEN_S + SKEW_S < now:
            return True
        return self._book.has_ended(rest)

    async def _complete(self, theirs: "_Theirs") -> None:
        """Write down what only this process knows: it was cut off, or they lost it."""
        now = self._clock.now()
        lacking: list[Rest | End] = []
        for end in self._book.ends(now):
            known = theirs.ends.get(field_name(end))
            if known is None or known.began_at < end.began_at:
                lacking.append(end)
        for rest in self._book.active(now):
            there = theirs.rests.get(field_name(rest))
            if there is None or there.until < rest.until or self._is_over(there, now):
                lacking.append(rest)
        for some in batches(lacking, _AT_ONCE):
            await self._write(some, is_news=False)

    def _take(self, told: Rest | End | None) -> None:
        match told:
            case Rest():
                self._book.take(told)
            case End():
                self._book.take_end(told)
            case None:
                pass


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What the two hashes hold, by field; None for what is not understood."""

    ends: Mapping[str, End | None]
    rests: Mapping[str, Rest | None]
