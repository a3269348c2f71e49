"""One connection that many callers share: what they ask in the meantime goes as one pipeline.

Cheaper than a connection of its own for each call, and a caller that is cancelled cannot disturb
the others: only the lane's own task reads and writes. The link fails open. After a failure
callers do not wait but go on without it, while the lane alone tries to reach it again. When a
pipeline fails, those who wait for the next one are let go with it; thus a caller waits for one
timeout when the server is silent, and never for more than two.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol, TypeAlias, TypeVar

from repositories.counters import Counters

logger = logging.getLogger(__name__)

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = "int | bytes | None | list[Reply] | ReplyError"

# Seconds a counter lives unused, and how often one process says so again. Renewing it with each
# increment would double the commands.
COUNTER_TTL_S = 86_400
RENEW_AFTER_S = 3_600

# Nobody waits for a probe, so it may take its time: TLS to a far server, a server that starts.
_PROBE_LIMIT_S = 1.0
_PROBE_AGAIN_S = 0.05
_COMPLAIN_AFTER_S = 60.0


class LinkDown(Exception):
    """The server was not reached, or did not answer in time. Says nothing about what it did."""


@dataclass(frozen=True, slots=True)
class ReplyError:
    """The server answered, and refused this one command."""

    message: str


class Link(Protocol):
    """A connection to the server; connects by itself when it has to."""

    async def exchange(self, commands: Sequence[Command], *, limit_s: float) -> list[Reply]:
        """Send as one pipeline and return as many replies. Raises LinkDown; never retries."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Batch:
    """What was asked since the last pipeline left."""

    increments: dict[str, list[tuple[int, asyncio.Future[int]]]] = field(default_factory=dict)
    asks: list[tuple[Sequence[Command], asyncio.Future[list[Reply] | None]]] = field(
        default_factory=list
    )


class Lane:
    """Increments and commands over one link, with a breaker."""

    def __init__(
        self,
        link: Link,
        *,
        timeout_s: float,
        breaker_failures: int,
        breaker_pause_s: float,
        first_words: Callable[[], Sequence[Command]] = tuple,
        said: Callable[[Sequence[Command]], None] = lambda _: None,
    ) -> None:
        """`first_words` are said to a server that is back before anybody else speaks to it; `said`
        is told which of them it has answered."""
        self._link = link
        self._first_words = first_words
        self._said = said
        self._timeout_s = timeout_s
        self._failures = breaker_failures
        self._pause_s = breaker_pause_s
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._counters = Counters()
        self._renew_at = Counters()
        self._worker: asyncio.Task[None] | None = None
        self._complained_at = -_COMPLAIN_AFTER_S
        self.is_available = False
        """Whether the server answered last."""

    async def start(self) -> None:
        """Reach the server once, within about a second, and begin to work whether or not."""
        try:
            await self._link.exchange([("PING",)], limit_s=max(_PROBE_LIMIT_S, self._timeout_s))
        except LinkDown as error:
            self._lost(error)
        else:
            self.is_available = True
        self._worker = asyncio.create_task(self._work(), name="shared state")

    async def close(self) -> None:
        """Stop. Whoever still waits goes on without the server."""
        self.is_available = False
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        self._go_on_without(self._take())
        await self._link.close()

    async def increment(self, key: str, by: int) -> int:
        """Add and return this caller's own number; a local one while the server is away."""
        if not self.is_available:
            return self._counters.add(key, by)
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._batch.increments.setdefault(key, []).append((by, waiter))
        self._wake.set()
        return await waiter

    async def ask(self, *commands: Command) -> list[Reply] | None:
        """Send commands together and return their replies; None when the server is away."""
        if not self.is_available:
            return None
        waiter: asyncio.Future[list[Reply] | None] = asyncio.get_running_loop().create_future()
        self._batch.asks.append((commands, waiter))
        self._wake.set()
        return await waiter

    def tell(self, command: Command) -> bool:
        """Send a command whose reply nobody wants; False when the server is away."""
        if self.is_available:
            unread: asyncio.Future[list[Reply] | None] = asyncio.get_running_loop().create_future()
            self._batch.asks.append(((command,), unread))
            self._wake.set()
        return self.is_available

    async def _work(self) -> None:
        while True:
            if not self.is_available:
                await self._until_back()
            await self._wake.wait()
            batch = self._take()
            try:
                await self._serve(batch)
            except LinkDown as error:
                self._lost(error)
            except Exception:
                logger.exception("shared state: a batch failed")
            finally:
                # Whatever has no answer now will never have one; also when we are cancelled.
                self._go_on_without(batch)
                if not self.is_available:
                    self._go_on_without(self._take())

    def _take(self) -> _Batch:
        self._wake.clear()
        batch, self._batch = self._batch, _Batch()
        return batch

    async def _serve(self, batch: _Batch) -> None:
        """Send a batch and hand the replies out."""
        # A caller that has left in the meantime wants nothing any more.
        wanted = {
            key: alive
            for key, waiters in batch.increments.items()
            if (alive := [(by, waiter) for by, waiter in waiters if not waiter.done()])
        }
        asks = [(commands, waiter) for commands, waiter in batch.asks if not waiter.done()]
        sums: list[Command] = [
            ("INCRBY", key, sum(by for by, _ in waiters)) for key, waiters in wanted.items()
        ]
        commands = [*sums, *(command for asked, _ in asks for command in asked)]
        renewals = self._renewals(wanted)
        if not commands:
            return
        replies = await self._link.exchange([*commands, *renewals], limit_s=self._timeout_s)
        for reply, (key, waiters) in zip(replies, wanted.items(), strict=False):
            self._hand_out(key, reply, waiters)
        at = len(sums)
        for asked, answer in asks:
            _settle(answer, replies[at : at + len(asked)])
            at += len(asked)

    def _hand_out(
        self, key: str, reply: Reply, waiters: Sequence[tuple[int, asyncio.Future[int]]]
    ) -> None:
        """Give each caller of one sum its own number, in the order in which they came."""
        if not isinstance(reply, int):
            self.complain(reply)  # its waiters get local numbers
            return
        self._counters.saw(key, reply)
        number = reply - sum(by for by, _ in waiters)
        for by, waiter in waiters:
            number += by
            _settle(waiter, number)

    def _renewals(self, keys: Iterable[str]) -> list[Command]:
        """Return EXPIRE commands for the counters that this process has not renewed for long."""
        now = int(time.monotonic())
        due = [key for key in keys if self._renew_at.add(key, 0) <= now]
        for key in due:
            self._renew_at.saw(key, now + RENEW_AFTER_S)
        return [("EXPIRE", key, COUNTER_TTL_S) for key in due]

    def _go_on_without(self, batch: _Batch) -> None:
        for key, waiters in batch.increments.items():
            for by, waiter in waiters:
                if not waiter.done():
                    waiter.set_result(self._counters.add(key, by))
        for _, answer in batch.asks:
            _settle(answer, None)

    async def _until_back(self) -> None:
        """Probe until the server answers: quickly at first, then with the breaker's pause."""
        lost_at = time.monotonic()
        for failures in count(1):
            await asyncio.sleep(self._pause_s if failures >= self._failures else _PROBE_AGAIN_S)
            limit_s = max(_PROBE_LIMIT_S, self._timeout_s)
            try:
                await self._link.exchange([("PING",)], limit_s=limit_s)
                if words := self._first_words():
                    await self._link.exchange(words, limit_s=limit_s)
                    self._said(words)
            except LinkDown as error:
                logger.debug("shared state is still away", extra={"error": str(error)})
                continue
            except Exception:
                logger.exception("shared state: a probe failed")
                continue
            self.is_available = True
            away_s = round(time.monotonic() - lost_at, 3)
            logger.info("shared state is back", extra={"away_s": away_s})
            return

    def _lost(self, error: LinkDown) -> None:
        self.is_available = False
        self._renew_at = Counters()  # the server may come back empty
        logger.warning(
            "shared state is away; going on with this process's own", extra={"error": str(error)}
        )

    def complain(self, reply: Reply) -> None:
        """Log that the server refused a command or answered nonsense, at most once a minute."""
        now = time.monotonic()
        if now - self._complained_at < _COMPLAIN_AFTER_S:
            return
        self._complained_at = now
        reason = reply.message if isinstance(reply, ReplyError) else type(reply).__name__
        logger.warning("shared state refused a command", extra={"error": reason})


def _settle(waiter: asyncio.Future[T], result: T) -> None:
    if not waiter.done():
        waiter.set_result(result)
