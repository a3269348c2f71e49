"""What a request costs besides its bytes: who calls, what is asked, who serves, what came of it.

One process, no network, no other thread: each step of an ordinary request of the Chat format, in
CPU microseconds, for few accounts and for many. A request here meets warm caches; within a running
gateway the same steps cost up to twice as much.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from auth.keys import hash_key, new_key
from benchmarks.select import FEW, MANY, stored
from dialects.fields import dumps, parse_object
from dialects.openai_chat import CHAT
from models.account import Strategy
from models.clock import SystemClock
from models.exchange import ProxyRequest
from models.ids import new_id
from models.principal import ApiKey
from models.rest import origin
from providers import BUILTIN
from providers.base import Route
from repositories.shared_memory import MemoryState
from services.affinity import Affinity, Visit
from services.authenticator import Authenticator
from services.background import Background
from services.bindings import Bindings
from services.breaker import Breaker, Thresholds
from services.cooldown import Cooldowns
from services.pauses import Pauses
from services.pool import Pool, Turn
from services.quotas import Quotas
from services.rate_limits import limits_told
from services.router import Router
from services.snapshot import Snapshot

_REQUESTS: Final = 300
_WINDOWS: Final = 9
_QUICK: Final = 5
"""Of each window the time counts that one of so many requests keeps: others were disturbed."""
_BODY: Final = dumps(
    {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You answer briefly, and cite what you used. " * 4},
            {"role": "user", "content": "How does a proxy choose among many accounts? " * 10},
        ],
        "max_tokens": 256,
    }
)
_LATER: Final = dumps(
    {
        **parse_object(_BODY),
        "messages": [
            {"role": "user", "content": "How does a proxy choose among many accounts? " * 10},
            {"role": "assistant", "content": "By turns."},
            {"role": "user", "content": "Go on."},
        ],
    }
)
_ANSWER: Final = parse_object(
    b'{"choices":[{"message":{"role":"assistant","content":"By turns."}}],'
    b'"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105}}'
)
_HEADERS: Final = {f"x-header-{number}": "of the provider" for number in range(12)}


class Path:
    """Everything between a client's body and a provider's answer, but for both."""

    def __init__(self, accounts: int, body: bytes) -> None:
        self._body = body
        key, pepper = new_key(), b"p" * 32
        provider = replace(BUILTIN[0], strategy=Strategy.ROUND_ROBIN)
        entries = tuple(stored(provider.id, number, 0) for number in range(accounts))
        caller = ApiKey("0" * 32, "a caller", hash_key(key, pepper))
        self._snapshot = Snapshot(
            1,
            {one.account.id: one for one in entries},
            {provider.id: entries},
            {},
            {caller.key_hash: caller},
            Router({provider.id: provider}, {"gpt-": [provider.id]}),
            {provider.id: provider},
            {},
        )
        self._key = {"authorization": f"Bearer {key}"}
        self._address = origin(provider.id, provider.main.base_url)
        self._clock = clock = SystemClock()
        shared = MemoryState()
        cooldowns = Cooldowns(Pauses(), clock, shared)
        self._pool = Pool(self._current, shared, cooldowns, clock)
        self._authenticator = Authenticator(self._current, _nothing, pepper, clock, admin_key=key)
        self._breaker = Breaker(cooldowns, clock, Thresholds())
        self._quotas = Quotas(self._current, cooldowns.release, lambda *_: None, clock)
        self._affinity = Affinity(
            Bindings(shared, Background(), clock, ttl_s=3_600.0),
            self._pool.away_until,
            self._pool.count_early,
            lambda: self._snapshot.accounts,
            clock,
            salt=b"s" * 32,
            ttl_s=3_600.0,
        )

    async def request(self) -> AsyncIterator[str]:
        """Yield the name of each step once it is done."""
        principal = await self._authenticator.authenticate(self._key)
        yield "authenticate"
        request_id = new_id()
        yield "new id"
        payload = parse_object(self._body)
        asked = CHAT.inspect(self._body, payload)
        yield "parse, inspect"
        request = ProxyRequest(
            request_id,
            None,
            CHAT.name,
            asked.model,
            asked.stream,
            self._body,
            payload,
            {},
            principal.key_id,
            self._clock.now(),
            self._clock.monotonic(),
        )
        yield "(request)"
        route = self._snapshot.router.resolve(asked.model)[0]
        assert self._pool.desk(route).is_able()
        CHAT.prepare_raw(self._body, payload, route.model, ask_usage=True)
        yield "route"
        visit = self._affinity.met(request, CHAT, route)
        assert visit is not None
        if visit.asks:
            await self._affinity.ask(visit)
        yield "visit"
        lease = await self._turn(route, visit).next()
        assert lease is not None
        yield "turn"
        sent_at = self._clock.now()
        assert self._breaker.is_free(self._address)
        self._quotas.saw(lease.account.id, route, 200, _HEADERS)
        limits_told(_HEADERS, CHAT.name, CHAT.name, sent_at)
        yield "breaker, limits"
        usage = CHAT.read_usage(_ANSWER)
        yield "usage"
        visit.served(lease.account.id)
        self._breaker.saw(self._address, None, since=sent_at)
        self._pool.succeeded(lease, route, since=sent_at)
        yield "served, succeeded"
        lease.release()
        visit.ended(usage)
        yield "over"

    def _turn(self, route: Route, visit: Visit) -> Turn:
        return self._pool.desk(route).walk(
            home=visit.home,
            is_lent=visit.is_lent,
            is_local=visit.has_asked,
            counter=visit.counter,
        )

    def _current(self) -> Snapshot:
        return self._snapshot


async def _nothing() -> None:
    """No key is unknown here."""


async def _window(path: Path) -> dict[str, float]:
    """Return the microseconds of each step."""
    seen: dict[str, list[float]] = {}
    for _ in range(_REQUESTS):
        before = time.perf_counter()
        async for step in path.request():
            now = time.perf_counter()
            seen.setdefault(step, []).append(now - before)
            before = time.perf_counter()
    return {step: sorted(times)[len(times) // _QUICK] * 1e6 for step, times in seen.items()}


async def _steps(body: bytes) -> Sequence[tuple[str, float, float]]:
    few, many = Path(FEW, body), Path(MANY, body)
    windows = [(await _window(few), await _window(many)) for _ in range(_WINDOWS + 1)][1:]
    return [
        (step, min(one[step] for one, _ in windows), min(one[step] for _, one in windows))
        for step in windows[0][0]
    ]


def main() -> None:
    """Measure, and print each step's cost and its share."""
    gc.disable()
    print(f"{'step':18} {FEW:>8} {'share':>6} {MANY:>8}   microseconds per request")
    for name, body in (("a first turn", _BODY), ("a later turn", _LATER)):
        steps = asyncio.run(_steps(body))
        few, many = sum(step[1] for step in steps), sum(step[2] for step in steps)
        for step, of_few, of_many in steps:
            print(f"{step:18} {of_few:8.2f} {of_few / few:6.0%} {of_many:8.2f}")
        print(f"{name:18} {few:8.2f} {'':6} {many:8.2f}  ratio {many / few:.2f}\n", flush=True)


if __name__ == "__main__":
    main()
