"""Load on a server: a closed loop (so many clients, each asks anew once it has its answer) or an
open one (so many arrivals a second, whatever becomes of them).

In an open loop time runs from the moment a request was due: a server that stalls is not spared the
requests that would have come meanwhile. Arrivals are a Poisson process with a fixed seed.
"""

import asyncio
import ctypes
import os
import random
import struct
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from benchmarks.caller import Caller, Expected

_CLOSE_S: Final = 5.0
_FIRST: Final = 16
"""Connections that an open loop begins with."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    host: str
    port: int
    request: bytes


@dataclass(slots=True)
class Tally:
    """What became of requests."""

    latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    """Of the good ones, from when they were sent or due until the last byte."""
    first_s: "array[float]" = field(default_factory=lambda: array("d"))
    """Of the good ones, until the first byte."""
    refused_s: "array[float]" = field(default_factory=lambda: array("d"))
    """Of those that got 503 with Retry-After, until the last byte; they count as failed, too."""
    failed: Counter[str] = field(default_factory=Counter)
    """Statuses, `lost`, or `content`, of those whose answer was not as expected."""
    sample: bytes = b""
    """The beginning of an answer that failed."""

    @property
    def good(self) -> int:
        return len(self.latencies_s)

    def percentile_ms(self, percent: float) -> float:
        """Return how long the given share took at most; 0 if there was none."""
        return percentile(self.latencies_s, percent) * 1e3


def percentile(values: "array[float] | list[float]", percent: float) -> float:
    """Return the value that the given share is not above (nearest rank); 0 of nothing."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


class Load(Protocol):
    """Something that asks until it is stopped."""

    tally: Tally

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class _Asking:
    """What both kinds share: connections, and the count of what comes back."""

    def __init__(self, target: Target, expected: Expected) -> None:
        self.tally = Tally()
        self._target = target
        self._expected = expected
        self._callers: set[Caller] = set()
        self._stopping = False
        self._busy = 0

    async def stop(self) -> None:
        """Ask no more, wait for what is under way, and close the connections."""
        self._stopping = True
        until = monotonic() + _CLOSE_S
        while self._busy > 0 and monotonic() < until:  # noqa: ASYNC110 - counted by callbacks
            await asyncio.sleep(0.005)
        for caller in list(self._callers):
            caller.close()
        await asyncio.sleep(0)

    async def _connect(self) -> Caller:
        caller = Caller(self._target.request, self._answered)
        self._callers.add(caller)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: caller, self._target.host, self._target.port)
        return caller

    def _count(self, caller: Caller, answer: bytes) -> None:
        tally = self.tally
        if caller.status == 200 and self._expected.holds(answer):
            tally.latencies_s.append(monotonic() - caller.began)
            tally.first_s.append(caller.first - caller.began)
            return
        if caller.status == 503 and b"\r\nretry-after:" in answer.lower():
            tally.refused_s.append(monotonic() - caller.began)
            tally.failed["503"] += 1
            return
        what = "content" if caller.status == 200 else str(caller.status or "lost")
        what += " without Retry-After" if what == "503" else ""
        tally.failed[what] += 1
        tally.sample = tally.sample or answer[:2000]

    def _answered(self, caller: Caller, answer: bytes) -> None:
        raise NotImplementedError


class ClosedLoop(_Asking):
    """So many clients; each asks anew as soon as it has its answer."""

    def __init__(self, target: Target, expected: Expected, clients: int) -> None:
        super().__init__(target, expected)
        self._clients = clients

    async def start(self) -> None:
        for _ in range(self._clients):
            caller = await self._connect()
            self._busy += 1
            caller.ask(monotonic())

    def _answered(self, caller: Caller, answer: bytes) -> None:
        self._count(caller, answer)
        if self._stopping or caller.transport is None or caller.transport.is_closing():
            caller.began = 0.0
            self._busy -= 1
        else:
            caller.ask(monotonic())


class OpenLoop(_Asking):
    """So many arrivals a second, each on a connection of its own while it lasts."""

    def __init__(
        self, target: Target, expected: Expected, rate_per_s: float, *, most: int = 4000
    ) -> None:
        super().__init__(target, expected)
        self._rate = rate_per_s
        self._most = most
        """Connections at once; arrivals beyond it wait, and their time runs."""
        self._chance = random.Random(7)  # noqa: S311 - the same arrivals in every run
        self._alarm = Alarm(self._arrive)
        self._due = 0.0
        self._waiting: deque[float] = deque()
        self._idle: list[Caller] = []
        self._dialling: set[asyncio.Task[None]] = set()
        self.arrived = 0

    async def start(self) -> None:
        for _ in range(min(_FIRST, self._most)):
            self._idle.append(await self._connect())
        self._due = monotonic()
        self._next()

    async def stop(self) -> None:
        self._alarm.close()
        await super().stop()

    def _next(self) -> None:
        self._due += self._chance.expovariate(self._rate)
        self._alarm.ring_at(self._due)

    def _arrive(self) -> None:
        now = monotonic()
        while self._due <= now:
            self.arrived += 1
            self._ask(self._due)
            self._due += self._chance.expovariate(self._rate)
        self._alarm.ring_at(self._due)

    def _ask(self, due: float) -> None:
        self._busy += 1
        while self._idle:
            caller = self._idle.pop()
            if caller.transport is not None and not caller.transport.is_closing():
                caller.ask(due)
                return
            self._callers.discard(caller)
        self._waiting.append(due)
        if len(self._callers) + len(self._dialling) < self._most:
            task = asyncio.create_task(self._dial())
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)

    async def _dial(self) -> None:
        try:
            caller = await self._connect()
        except OSError:
            if self._waiting:
                self._waiting.popleft()
                self.tally.failed["refused"] += 1
                self._busy -= 1
            return
        self._free(caller)

    def _free(self, caller: Caller) -> None:
        if self._waiting:
            caller.ask(self._waiting.popleft())
        else:
            self._idle.append(caller)

    def _answered(self, caller: Caller, answer: bytes) -> None:
        self._count(caller, answer)
        caller.began = 0.0
        self._busy -= 1
        if caller.transport is None or caller.transport.is_closing():
            self._callers.discard(caller)
        else:
            self._free(caller)


class Alarm:
    """Calls back at a moment, to the microsecond: loops round their timers to milliseconds."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC)  # monotonic
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._ring = ring
        asyncio.get_running_loop().add_reader(self._fd, self._rung)

    def ring_at(self, moment: float) -> None:
        """Ring once, at this moment of `time.monotonic`; at once if it has passed."""
        seconds, part = divmod(max(moment, 1e-9), 1.0)
        spec = struct.pack("=qqqq", 0, 0, int(seconds), int(part * 1e9))
        self._libc.timerfd_settime(self._fd, 1, spec, None)  # an absolute moment

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _rung(self) -> None:
        os.read(self._fd, 8)
        self._ring()
