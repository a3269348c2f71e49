"""Shared state on Redis, by redis-py.

One connection carries everything but subscriptions, which have one each. Nothing is retried: a
command that timed out may have been done, and a counter must not count twice.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Literal, Self

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from repositories.counters import midnight_after
from repositories.lane import Command, Lane, LinkDown, Reply, ReplyError
from repositories.redis_slots import RedisSlots
from repositories.shared_memory import MemoryState

logger = logging.getLogger(__name__)

# A timer that rings this late was held up by ourselves: the answer may lie in the socket unread.
_STALL_S = 0.02
_GRACE_S = 0.05

# A subscription that stays silent for this long is asked whether it still lives.
_SILENCE_S = 15.0
_RESUBSCRIBE_S = 0.1
_RESUBSCRIBE_LIMIT_S = 2.0

# Claims that this process won or, while Redis is away, made by itself.
_OWN_BYTES = 4 * 1024 * 1024

# A value in a hash stands behind its rank and a line end. ARGV: name, rank, value.
_RAISE_FIELD = """
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there then
  local rank = tonumber(string.sub(there, 1, string.find(there, '\\n', 1, true) - 1))
  if rank >= tonumber(ARGV[2]) then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '\\n' .. ARGV[3])
return 1
"""


class RedisState:
    """`SharedState` that all replicas on one Redis see."""

    mode: Literal["memory", "redis"] = "redis"

    def __init__(
        self, url: str, *, timeout_s: float, breaker_failures: int, breaker_pause_s: float
    ) -> None:
        self._connection, self._database = _connections(url)
        self._timeout_s = timeout_s
        self._subscriptions: set[AbstractConnection] = set()
        self._is_closed = False
        self._own = MemoryState(max_bytes=_OWN_BYTES)
        self._slots = RedisSlots()
        self._lane = Lane(
            _RedisLink(self._connection()),
            timeout_s=timeout_s,
            breaker_failures=breaker_failures,
            breaker_pause_s=breaker_pause_s,
            first_words=self._slots.first_words,
            said=self._slots.said,
        )

    async def start(self) -> None:
        """Connect; a Redis that is away is waited for in the background."""
        await self._lane.start()

    @property
    def is_available(self) -> bool:
        return self._lane.is_available

    async def increment(self, key: str, by: int = 1) -> int:
        return await self._lane.increment(key, by)

    async def get(self, key: str) -> bytes | None:
        reply = await self._ask(("GET", key))
        return reply if isinstance(reply, bytes) else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        milliseconds = int(ttl_s * 1000)
        if milliseconds > 0:
            await self._ask(("SET", key, value, "PX", milliseconds))
        else:
            await self.delete(key)

    async def delete(self, key: str) -> None:
        await self._ask(("DEL", key))

    async def count_today(self, counts: Mapping[str, int], *, now: float) -> None:
        midnight = midnight_after(now)
        commands: list[Command] = []
        for key, by in counts.items():
            commands.append(("SET", key, 0, "EXAT", midnight, "NX"))
            commands.append(("INCRBY", key, by))
            # Should midnight fall between the two, the counter would never end. LT never puts its
            # end off; Redis before 7.0 does not know it, refuses, and the gap stays.
            commands.append(("EXPIREAT", key, midnight, "LT"))
        replies = await self._lane.ask(*commands) if commands else None
        for reply in (replies or [])[1::3]:
            if isinstance(reply, ReplyError):
                self._lane.complain(reply)

    async def read_counts(self, keys: Sequence[str]) -> list[int]:
        reply = await self._ask(("MGET", *keys)) if keys else []
        values = reply if isinstance(reply, list) else []
        return [_number(value) for value in values] or [0] * len(keys)

    async def claim(self, key: str, ttl_s: float) -> bool:
        command = ("SET", key, b"1", "PX", max(int(ttl_s * 1000), 1), "NX")
        replies = await self._lane.ask(command)
        if replies is None or isinstance(replies[0], ReplyError):
            return await self._own.claim(key, ttl_s)
        if replies[0] is None:
            return False
        await self._own.claim(key, ttl_s)
        return True

    async def bind(self, key: str, value: bytes, ttl_s: float) -> bytes:
        milliseconds = max(int(ttl_s * 1000), 1)
        replies = await self._lane.ask(("SET", key, value, "PX", milliseconds, "NX"), ("GET", key))
        found = replies[1] if replies is not None else None
        return found if isinstance(found, bytes) else value

    async def touch(self, key: str, ttl_s: float) -> None:
        await self._ask(("PEXPIRE", key, int(ttl_s * 1000)))

    async def raise_field(self, key: str, name: str, rank: float, value: bytes) -> bool:
        return await self._ask(("EVAL", _RAISE_FIELD, 1, key, name, repr(rank), value)) == 1

    async def drop_field(self, key: str, name: str) -> None:
        await self._ask(("HDEL", key, name))

    async def fields(self, key: str) -> dict[str, bytes]:
        reply = await self._ask(("HGETALL", key))
        flat = (
            [part for part in reply if isinstance(part, bytes)] if isinstance(reply, list) else []
        )
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {name.decode(): value.partition(b"\n")[2] for name, value in pairs}

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        return await self._slots.take(self._lane, account_id, holder, limit, ttl_s)

    async def renew_slots(self, held: Sequence[tuple[str, str]], ttl_s: float) -> None:
        await self._slots.renew(self._lane, held, ttl_s)

    async def free_slot(self, account_id: str, holder: str) -> None:
        await self._slots.free(self._lane, account_id, holder)

    async def slots_taken(self, account_ids: Sequence[str]) -> list[int]:
        return await self._slots.taken(self._lane, account_ids)

    async def publish(self, channel: str, message: bytes) -> None:
        await self._ask(("PUBLISH", self._named(channel), message))

    async def subscribe(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield messages from now on. What is published during an outage is lost."""
        pause_s = _RESUBSCRIBE_S
        while not self._is_closed:
            try:
                async with self._subscription(channel) as connection:
                    while True:
                        message = await self._message(connection)
                        pause_s = _RESUBSCRIBE_S
                        if message is not None:
                            yield message
            except (RedisError, OSError, TimeoutError) as error:
                logger.debug("subscription lost", extra={"channel": channel, "error": str(error)})
            if not self._is_closed:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RESUBSCRIBE_LIMIT_S)

    async def aclose(self) -> None:
        """Stop; subscriptions end, everything else behaves as in an outage."""
        self._is_closed = True
        for connection in tuple(self._subscriptions):
            await connection.disconnect(nowait=True)
        await self._lane.close()

    async def _ask(self, command: Command) -> Reply:
        replies = await self._lane.ask(command)
        if replies is None:
            return None
        if isinstance(replies[0], ReplyError):
            self._lane.complain(replies[0])
        return replies[0]

    def _named(self, channel: str) -> str:
        """Redis tells messages to all its databases; other gateways may live in those."""
        return f"{channel}@{self._database}"

    @contextlib.asynccontextmanager
    async def _subscription(self, channel: str) -> AsyncIterator[AbstractConnection]:
        connection = self._connection()
        self._subscriptions.add(connection)
        try:
            async with asyncio.timeout(max(1.0, self._timeout_s)):
                await connection.send_command("SUBSCRIBE", self._named(channel))
            yield connection
        finally:
            self._subscriptions.discard(connection)
            await connection.disconnect(nowait=True)

    async def _message(self, connection: AbstractConnection) -> bytes | None:
        """Return the next message, or None for what the server says besides."""
        reply = await connection.read_response(timeout=_SILENCE_S)
        if reply is None:
            async with asyncio.timeout(max(1.0, self._timeout_s)):
                await connection.send_command("PING")
                reply = await connection.read_response()
        match reply:
            case [b"message", _, bytes(message)]:
                return message
            case _:
                return None


class _RedisLink:
    """The connection behind the lane."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def exchange(self, commands: Sequence[Command], *, limit_s: float) -> list[Reply]:
        connection = self._connection
        try:
            async with asyncio.timeout(None) as scope:
                with _Deadline(scope, limit_s):
                    # Data before a question, or the end of the stream: closed while it was idle.
                    if connection.is_connected and await connection.can_read():
                        await connection.disconnect(nowait=True)
                    await connection.send_packed_command(connection.pack_commands(commands))
                    return [await _reply(connection) for _ in commands]
        except (RedisError, OSError, TimeoutError) as error:
            await connection.disconnect(nowait=True)
            raise LinkDown(str(error) or f"no answer within {limit_s} s") from error

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class _Deadline:
    """A time limit that does not count the time in which our own event loop stood still."""

    def __init__(self, scope: asyncio.Timeout, limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._scope = scope
        self._due = self._loop.time() + limit_s
        self._timer = self._loop.call_at(self._due, self._ring)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _ring(self) -> None:
        now = self._loop.time()
        if now - self._due > _STALL_S:
            self._due = now + _GRACE_S
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self._scope.reschedule(now)


async def _reply(connection: AbstractConnection) -> Reply:
    try:
        reply: Reply = await connection.read_response()
    except ResponseError as error:
        return ReplyError(str(error))
    return reply


def _number(value: Reply) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0


def _connections(url: str) -> tuple[Callable[[], AbstractConnection], int]:
    """Return what makes connections to an address, with the defaults of redis-py undone, and the
    number of its database.

    Those are 10 retries and 5 s of patience. Our own deadlines are around every use.
    """
    pool: ConnectionPool = ConnectionPool.from_url(url)  # reads the address, keeps no connection
    # Parameters of the address must not change these.
    options = {
        **pool.connection_kwargs,
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "driver_info": None,
    }
    return partial(pool.connection_class, **options), int(options.get("db") or 0)
