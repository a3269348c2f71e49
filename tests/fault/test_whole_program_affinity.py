"""Conversations keep their account over four processes while one account cools, and single calls
still take their turns exactly."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.cluster import Cluster
from tests.fakes.formats.base import Seen
from tests.fakes.provider import Failure, FakeProvider, error_body
from tests.fakes.scenarios import Scenario
from tests.fault.replicas import open_replicas
from tests.fault.whole_program import IS_FULL, everywhere, tell

pytestmark = pytest.mark.timeout(300)

REPLICAS: Final = 4
ACCOUNTS: Final = 10
CONVERSATIONS: Final = 500 if IS_FULL else 200
TURNS: Final = 6
SINGLES: Final = 250
"""Calls of a single turn, between each two turns of the conversations."""
COOLED: Final = "key-3"
REST_S: Final = 3 if IS_FULL else 1
LANES: Final = 32
TOKENS: Final = 1000
"""That each turn adds to its conversation's prompt."""

Ask = tuple[str, dict[str, Any], dict[str, str]]
"""Name, body and headers of a call."""


@dataclass
class Caches:
    """The prompt caches of the pretend provider: one for each account, as real ones have."""

    held: dict[tuple[str, str], int] = field(default_factory=dict)
    """Key and conversation -> tokens."""
    served: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Conversation -> the keys of its turns, in order."""
    read: Counter[str] = field(default_factory=Counter)
    """Conversation -> tokens that came from caches."""

    def answer(self, seen: Seen) -> Scenario:
        name = str(seen.payload["messages"][0]["content"]).partition(":")[0]
        self.served[name].append(seen.key)
        prompt = TOKENS * (1 + len(seen.payload["messages"]) // 2)
        read = self.held.get((seen.key, name), 0)
        self.held[seen.key, name] = prompt
        self.read[name] += read
        return Scenario(cache_read_tokens=read, cache_write_tokens=prompt - read)


@dataclass
class Clients:
    """Ask the replicas in turn, so that no conversation meets the same one twice in a row."""

    replicas: Sequence[Cluster]
    turns: "count[int]" = field(default_factory=count)
    statuses: Counter[int] = field(default_factory=Counter)

    async def ask(self, asks: Sequence[Ask]) -> None:
        left = iter(asks)

        async def lane() -> None:
            for name, body, headers in left:
                replica = self.replicas[next(self.turns) % len(self.replicas)]
                response = await replica.post(
                    "/v1/messages", body, headers={"x-request-id": name, **headers}
                )
                self.statuses[response.status] += 1

        await asyncio.gather(*[lane() for _ in range(LANES)])


def turn_of(number: int, turn: int) -> Ask:
    """Return a turn of a conversation. One third is known by a header, one by the user's id as
    Claude Code writes it, one by how it begins."""
    opening = {"role": "user", "content": f"conversation {number}: why is it so?"}
    history: list[dict[str, str]] = [opening]
    for past in range(1, turn):
        history.append({"role": "assistant", "content": f"Because of {past}."})
        history.append({"role": "user", "content": f"And {past}?"})
    body: dict[str, Any] = {"model": "claude-fake", "max_tokens": 9, "messages": history}
    headers: dict[str, str] = {}
    if number % 3 == 1:
        headers["x-session-id"] = f"session-{number}"
    elif number % 3 == 2:
        user_id = f"user_{'0' * 64}_account__session_{number:08d}-0000-4000-8000-000000000000"
        body["metadata"] = {"user_id": user_id}
    return f"c{number}-{turn}", body, headers


def single(number: int) -> Ask:
    question = {"role": "user", "content": f"single {number}: what is it?"}
    return f"s{number}", {"model": "claude-fake", "max_tokens": 9, "messages": [question]}, {}


def spread(caches: Caches, names: Sequence[str]) -> list[int]:
    """Return how many of these calls each account served, of those that served any."""
    return sorted(Counter(caches.served[name][-1] for name in names).values())


async def test_conversations_keep_their_accounts_while_one_account_cools(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_replicas(
        tmp_path, database_url=mysql_url, redis_urls=[redis_url] * REPLICAS
    ) as replicas:
        provider, caches = await replicas[0].add_provider("messages", accounts=ACCOUNTS), Caches()
        provider.respond = caches.answer
        await everywhere()
        clients, chance = Clients(replicas), random.Random(4)
        singles = iter(count())
        spreads: dict[int, list[int]] = {}

        async def a_round(turn: int) -> None:
            alone = [single(next(singles)) for _ in range(SINGLES)]
            asks = [turn_of(number, turn) for number in range(CONVERSATIONS)] + alone
            chance.shuffle(asks)
            await clients.ask(asks)
            counted = [str(ask[1]["messages"][0]["content"]).partition(":")[0] for ask in alone]
            if turn == 1:  # first turns are counted like single calls
                counted += [f"conversation {number}" for number in range(CONVERSATIONS)]
            spreads[turn] = spread(caches, counted)

        for turn in range(1, TURNS + 1):
            if turn == 3:
                provider.failures_by_key[COOLED] = Failure(
                    429, error_body("messages", 429), {"retry-after": str(REST_S)}
                )
            if turn == 4:
                del provider.failures_by_key[COOLED]
            if turn == TURNS:
                await _is_back(clients, provider)
            await a_round(turn)

        homes = {number: caches.served[f"conversation {number}"] for number in range(CONVERSATIONS)}
        assert clients.statuses.keys() == {200}
        assert {len(keys) for keys in homes.values()} == {TURNS}
        at_home = sum(keys.count(keys[0]) for keys in homes.values())
        share = at_home / (CONVERSATIONS * TURNS)
        cooled = [keys for keys in homes.values() if keys[0] == COOLED]
        back = sum(keys[-1] == COOLED for keys in cooled)
        possible = CONVERSATIONS * TOKENS * sum(range(1, TURNS))
        read = sum(caches.read[f"conversation {number}"] for number in range(CONVERSATIONS))
        await replicas[0].logs(clients.statuses.total())
        told = (await replicas[0].api("GET", "/stats/summary"))["affinity"]
        tell(
            turns=CONVERSATIONS * TURNS,
            at_home=at_home,
            share=share,
            of_cooled_account=len(cooled),
            came_back=back,
            away_turns=sum(TURNS - keys.count(COOLED) for keys in cooled),
            lenders=dict(Counter(len({*keys} - {COOLED}) for keys in cooled)),
            cached_tokens_read=f"{read / possible:.4f}",
            summary=told,
            spreads=spreads,
        )
        assert share >= 0.95
        assert back == len(cooled) > 0
        for turn in (1, 2, TURNS):
            shares = spreads[turn]
            assert len(shares) == ACCOUNTS
            assert max(shares) - min(shares) <= 1, (turn, shares)
        assert told["moved"] == 0
        assert told["kept"] + told["borrowed"] == CONVERSATIONS * (TURNS - 1)
        assert told["turns"] == clients.statuses.total()
        assert told["cached_tokens_kept"] <= read


async def _is_back(clients: Clients, provider: FakeProvider) -> None:
    """Wait until the account that rested takes its turns again, with every replica."""
    before = Counter(provider.by_key)[COOLED]
    numbers = count()
    async with asyncio.timeout(30):
        while Counter(provider.by_key)[COOLED] < before + 2 * REPLICAS:
            await clients.ask([single(100_000 + next(numbers)) for _ in range(ACCOUNTS)])
