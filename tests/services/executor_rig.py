"""An executor among fakes: real pool and cooldowns, a scripted transport, tokens from a list."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from dialects import DIALECTS
from models.account import Credentials, StoredAccount
from models.egress import EgressProxy
from models.errors import GatewayError, UpstreamError
from models.exchange import ProxyRequest, RequestRecord
from models.json_types import Json, JsonObject
from models.rest import Rest
from providers.base import Provider
from repositories.base import AccountRepository
from repositories.shared_memory import MemoryState
from services.account_calls import AccountCalls
from services.affinity import Affinity
from services.answers import Answers, Limits
from services.attempts import Attempts
from services.breaker import Breaker, Thresholds
from services.budget import RetryBudget
from services.cooldown import Cooldowns
from services.discovery import Discoveries
from services.executor import NO_FALLBACKS, Executor, Fallbacks
from services.pauses import Pauses
from services.pool import Pool
from services.quotas import Quotas
from services.reply import Reply
from services.rest_book import Follower
from services.tokens import Tokens
from tests.builders import make_provider, make_snapshot, make_stored
from tests.fakes.clock import FakeClock
from tests.fakes.formats import chat, messages
from tests.fakes.scenarios import Scenario, compact
from tests.fakes.sink import poured
from tests.fakes.transport import Answer, FakeTransport, Sent, streamed, whole

_BEGAN = 1_800_000_000.0
"""What a FakeClock shows first."""

Script = Callable[[Sent], Answer | UpstreamError]


@dataclass
class FakeTokens:
    """The stored credentials; after a refusal the next of `fresh`, if there is one."""

    fresh: list[str] = field(default_factory=list)
    errors: dict[str, UpstreamError] = field(default_factory=dict)
    """By account id: what keeps the account from being signed for."""
    refused: list[str] = field(default_factory=list)

    async def get(self, stored: StoredAccount) -> Credentials:
        if stored.account.id in self.errors:
            raise self.errors[stored.account.id]
        return stored.credentials

    async def rejected(self, _stored: StoredAccount, access_token: str) -> Credentials | None:
        self.refused.append(access_token)
        return Credentials(self.fresh.pop(0)) if self.fresh else None


@dataclass
class StoredMetadata:
    """Where what was found out of accounts is stored: nowhere else is looked at."""

    facts: dict[str, JsonObject] = field(default_factory=dict)
    error: GatewayError | None = None
    changes: int = 0

    async def complete_metadata(self, account_id: str, facts: JsonObject) -> None:
        if self.error is not None:
            raise self.error
        self.facts[account_id] = facts

    async def changed(self) -> None:
        self.changes += 1


class NoAffinity:
    """No request belongs to a conversation."""

    def met(self, *_: object) -> None:
        return None


@dataclass
class Told:
    """Notes the rests that begin."""

    rests: list[Rest]

    def began(self, rest: Rest, _before: Rest | None) -> None:
        self.rests.append(rest)

    def ended(self, _rest: Rest, _evidence: str | None) -> None:
        pass


class Rig:
    """Accounts `key-1`, `key-2`... of each provider, and what the executor did."""

    def __init__(
        self,
        script: Script,
        accounts: Sequence[StoredAccount] | int = 2,
        *,
        providers: Iterable[Provider] = (make_provider(),),
        proxies: Iterable[EgressProxy] = (),
        limits: Limits | None = None,
        asks_stream_usage: bool = True,
        fallbacks: Fallbacks = NO_FALLBACKS,
    ) -> None:
        if isinstance(accounts, int):
            accounts = [make_stored(number) for number in range(1, accounts + 1)]
        self.snapshot = make_snapshot(accounts, proxies, providers)
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock, script)
        self.tokens = FakeTokens()
        self.cooldowns = Cooldowns(Pauses(), self.clock)
        self.pool = Pool(lambda: self.snapshot, MemoryState(), self.cooldowns, self.clock)
        self.told: list[Rest] = []
        self.cooldowns.followers.append(cast(Follower, Told(self.told)))
        self.quotas = Quotas(
            lambda: self.snapshot, self.cooldowns.release, lambda *_: None, self.clock
        )
        self.metadata = StoredMetadata()
        self.calls = AccountCalls(
            tokens=cast(Tokens, self.tokens),
            transport=self.transport,
            egress_of=self.pool.egress_of,
            user_agent="aigateway/test",
        )
        self.discoveries = Discoveries(
            accounts=cast(AccountRepository, self.metadata),
            changed=self.metadata.changed,
            calls=self.calls,
            clock=self.clock,
            pause=self.clock.pause,
        )
        limits = limits or Limits()
        answers = Answers(self.clock, limits)
        self.attempts = Attempts(
            pool=self.pool,
            tokens=cast(Tokens, self.tokens),
            discoveries=self.discoveries,
            transport=self.transport,
            breaker=Breaker(self.cooldowns, self.clock, Thresholds()),
            quotas=self.quotas,
            answers=answers,
            clock=self.clock,
            limits=limits,
            user_agent="aigateway/test",
        )
        self.executor = Executor(
            snapshot=lambda: self.snapshot,
            pool=self.pool,
            affinity=cast(Affinity, NoAffinity()),
            attempts=self.attempts,
            answers=answers,
            budget=RetryBudget(self.clock),
            dialects=DIALECTS,
            clock=self.clock,
            limits=limits,
            fallbacks=fallbacks,
            asks_stream_usage=asks_stream_usage,
        )
        self.record = make_record(make_request())

    async def open(self, request: ProxyRequest) -> Reply:
        self.record = make_record(request)
        return await self.executor.open(request, self.record)

    async def ask(self, request: ProxyRequest) -> bytes:
        """Return the whole answer as the client gets it."""
        reply = await self.open(request)
        return reply.body if reply.stream is None else await poured(reply)

    @property
    def rests(self) -> dict[tuple[str, str], float]:
        """Who rests for how long from now: subject and model -> seconds."""
        now = self.clock.now()
        return {(rest.subject, rest.scope): rest.until - now for rest in self.told}


def make_request(
    dialect: str = "chat", model: str = "gpt-x", *, stream: bool = False, **fields: Json
) -> ProxyRequest:
    payload: JsonObject = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    if dialect == "messages":
        payload["max_tokens"] = 9
    if stream:
        payload["stream"] = True
    payload.update(fields)
    body = json.dumps(payload).encode()
    return ProxyRequest(
        "0" * 32, None, dialect, model, stream, body, payload, {}, "k", _BEGAN, _BEGAN
    )


def make_record(request: ProxyRequest) -> RequestRecord:
    return RequestRecord(
        request.id, request.received_at, "k", request.dialect, request.model, request.stream
    )


def chat_answer(request: Sent, scenario: Scenario | None = None) -> Answer:
    """What a healthy Chat provider answers."""
    scenario = scenario or Scenario()
    payload = json.loads(request.request.body)
    if payload.get("stream"):
        usage = bool((payload.get("stream_options") or {}).get("include_usage"))
        return streamed(chat.chat_stream(scenario, include_usage=usage))
    return whole(compact(chat.chat_json(scenario)).encode())


def messages_answer(request: Sent, scenario: Scenario | None = None) -> Answer:
    """What a healthy Messages provider answers."""
    scenario = scenario or Scenario()
    if json.loads(request.request.body).get("stream"):
        return streamed(messages.messages_stream(scenario))
    return whole(compact(messages.messages_json(scenario)).encode())
