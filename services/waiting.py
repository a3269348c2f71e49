"""Requests that wait for somebody to serve them: the oldest goes first, and only as many as there
is hope for are woken."""

import asyncio
import heapq
import random
from collections.abc import Callable, Hashable
from itertools import count
from typing import Final, Generic, TypeAlias, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_WAITING: Final = 10_000
"""Beyond it nobody waits: the answer is no at once."""

# How often it is looked for what no event of this process tells: places that other replicas gave
# back, trials that are due. Random, so that replicas do not march in step.
_LOOK_S: Final = (0.1, 0.25)

_Waiter: TypeAlias = tuple[float, int, asyncio.Future[None]]


class WaitingRoom(Generic[K]):
    """Queues, each for something that may be had again."""

    def __init__(
        self, openings: Callable[[K, bool], int], *, max_queues: int = MAX_WAITING
    ) -> None:
        """`openings` tells for how many of a queue there is hope now; True asks for doubtful
        hopes as well. Beyond `max_queues` nobody begins another one: each event looks at all."""
        self._openings = openings
        self._max_queues = max_queues
        self._queues: dict[K, list[_Waiter]] = {}
        self._numbers = count()
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._waiting

    async def wait(self, key: K, limit_s: float, since: float) -> bool:
        """Return True when there may be hope, False when there was none for so long.

        `since` says how old the request is: who has tried in vain does not lose its turn.
        """
        is_full = self._waiting >= MAX_WAITING
        if key not in self._queues:
            is_full = is_full or len(self._queues) >= self._max_queues
        if is_full or limit_s <= 0:
            return False
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queues.setdefault(key, []), (since, next(self._numbers), woken))
        self._waiting += 1
        self._look_soon()
        try:
            self.wake(key)
            async with asyncio.timeout(limit_s):
                await woken
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            woken.cancel()
            self._tidy(key)
        return True

    def wake(self, key: K, *, in_doubt: bool = False) -> None:
        """Wake as many of a queue as there is hope for."""
        queue = self._queues.get(key)
        if not queue:
            return
        openings = self._openings(key, in_doubt)
        while openings > 0 and queue:
            _, _, woken = heapq.heappop(queue)
            if not woken.done():
                woken.set_result(None)
                openings -= 1

    def wake_all(self, *, in_doubt: bool = False) -> None:
        """Wake as many of each queue as there is hope for."""
        for key in list(self._queues):
            self.wake(key, in_doubt=in_doubt)

    def _look_soon(self) -> None:
        if self._timer is None:
            soonest_s, latest_s = _LOOK_S
            self._timer = asyncio.get_running_loop().call_later(
                random.uniform(soonest_s, latest_s),  # noqa: S311 - no secret depends on it
                self._look,
            )

    def _look(self) -> None:
        self._timer = None
        if self._waiting:
            self._look_soon()
            self.wake_all(in_doubt=True)

    def _tidy(self, key: K) -> None:
        """Drop those at the head of a queue who wait no more, and the queue with the last."""
        queue = self._queues.get(key)
        while queue and queue[0][2].done():
            heapq.heappop(queue)
        if queue is not None and not queue:
            del self._queues[key]
