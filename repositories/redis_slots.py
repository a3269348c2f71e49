"""Places for requests at once, counted by Redis, and by this process alone while Redis is away.

A sorted set for each account: holder -> when its place ends, by the clock of Redis. A script
touches the one key of one account, so that it runs on a cluster as well.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from models.batches import batches
from repositories.lane import Command, Lane, Reply, ReplyError
from repositories.slots import Slots

# Accounts in one pipeline: its answers have to come within the lane's timeout.
_CHUNK: Final = 500

_MAX_FORGOTTEN: Final = 10_000
"""Places that Redis was not told to be free; beyond it the oldest end by themselves."""

_NOW: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

_LIVE_ON: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""

# ARGV: milliseconds that a place lasts, how many there are, who wants one.
_TAKE: Final = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local taken = redis.call('ZCARD', KEYS[1])
if not redis.call('ZSCORE', KEYS[1], ARGV[3]) then
  if taken >= tonumber(ARGV[2]) then return 0 end
  taken = taken + 1
end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[3])
{_LIVE_ON}
return taken
"""

# ARGV: milliseconds that a place lasts, then the holders.
_RENEW: Final = f"""{_NOW}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
{_LIVE_ON}
return 1
"""

_TAKEN: Final = f"""{_NOW}
return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
"""


class RedisSlots:
    """Places over all replicas. What this process holds it knows itself, for an outage."""

    def __init__(self) -> None:
        self._own = Slots()
        self._forgotten: dict[Command, None] = {}

    async def take(self, lane: Lane, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        """Take a place; return how many are taken then, or 0 when all are."""
        command = ("EVAL", _TAKE, 1, _key(account_id), _milliseconds(ttl_s), limit, holder)
        try:
            replies = await lane.ask(command)
        except asyncio.CancelledError:
            self._free(lane, account_id, holder)  # it may have been taken already
            raise
        reply = _only(lane, replies)
        now = time.monotonic()
        if isinstance(reply, int):
            if reply:
                self._own.renew(account_id, holder, now=now, ttl_s=ttl_s)
            return reply
        taken = self._own.take(account_id, holder, limit, now=now, ttl_s=ttl_s)
        if not taken:
            self._free(lane, account_id, holder)
        return taken

    async def renew(self, lane: Lane, held: Sequence[tuple[str, str]], ttl_s: float) -> None:
        """Keep places, or have them again."""
        now = time.monotonic()
        holders: dict[str, list[str]] = {}
        for account_id, holder in held:
            self._own.renew(account_id, holder, now=now, ttl_s=ttl_s)
            holders.setdefault(account_id, []).append(holder)
        commands = [_renewal(account_id, names, ttl_s) for account_id, names in holders.items()]
        for chunk in batches(commands, _CHUNK):
            _only(lane, await lane.ask(*chunk))

    async def free(self, lane: Lane, account_id: str, holder: str) -> None:
        """Give a place back; a Redis that is away hears of it when it is back."""
        self._own.free(account_id, holder)
        if await lane.ask(_freeing(account_id, holder)) is None:
            self._forget_later(account_id, holder)

    async def taken(self, lane: Lane, account_ids: Sequence[str]) -> list[int]:
        """How many places of each account are taken."""
        now, found = time.monotonic(), list[int]()
        commands = [("EVAL", _TAKEN, 1, _key(account_id)) for account_id in account_ids]
        for chunk in batches(commands, _CHUNK):
            replies = await lane.ask(*chunk) or [None] * len(chunk)
            own = account_ids[len(found) : len(found) + len(chunk)]
            found += [
                reply if isinstance(reply, int) else self._own.taken(account_id, now)
                for account_id, reply in zip(own, replies, strict=True)
            ]
        return found

    def first_words(self) -> list[Command]:
        """Return what a Redis that is back must hear: who holds places here, who gave some up."""
        return [*self._forgotten, *_still_held(self._own.held(time.monotonic()))]

    def said(self, words: Sequence[Command]) -> None:
        """It has heard these."""
        for word in words:
            self._forgotten.pop(word, None)

    def _free(self, lane: Lane, account_id: str, holder: str) -> None:
        if not lane.tell(_freeing(account_id, holder)):
            self._forget_later(account_id, holder)

    def _forget_later(self, account_id: str, holder: str) -> None:
        self._forgotten[_freeing(account_id, holder)] = None
        if len(self._forgotten) > _MAX_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]


def _key(account_id: str) -> str:
    return f"account:slots:{{{account_id}}}"


def _milliseconds(ttl_s: float) -> int:
    return max(int(ttl_s * 1000), 1)


def _freeing(account_id: str, holder: str) -> Command:
    return ("ZREM", _key(account_id), holder)


def _renewal(account_id: str, holders: Iterable[str], ttl_s: float) -> Command:
    return ("EVAL", _RENEW, 1, _key(account_id), _milliseconds(ttl_s), *holders)


def _still_held(held: Mapping[str, Mapping[str, float]]) -> list[Command]:
    return [
        _renewal(account_id, holders, max(holders.values())) for account_id, holders in held.items()
    ]


def _only(lane: Lane, replies: Sequence[Reply] | None) -> Reply:
    """Return the first reply; one that is a refusal is complained of."""
    reply = replies[0] if replies else None
    if isinstance(reply, ReplyError):
        lane.complain(reply)
    return reply
