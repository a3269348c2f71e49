"""Tries one account with a real call, whatever state it is in.

It goes the account's own way out, signed with its own credential. A success is positive evidence
and ends its rests; a failure is told to the operator and benches nobody.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol, TypeAlias

from dialects.base import Dialect, Operation
from dialects.fields import dumps, parse_lenient
from models.account import Account, StoredAccount
from models.chat import ChatRequest
from models.content import Message, Text
from models.egress import EgressProxy
from models.errors import ErrorKind, GatewayError, NoCapacity, NotFound, UpstreamError
from models.exchange import UpstreamRequest
from models.ids import new_id
from models.ports import Clock
from models.rest import EVERY_MODEL
from openapi.account_actions import AccountTest
from providers.base import Offer, Provider, Route, Step, build_request
from repositories.base import AccountRepository
from services.account_calls import AccountCalls, Caller, read_whole
from services.discovery import Discoveries
from services.quotas import Release
from services.refusals import refused
from services.snapshot import Snapshot
from services.unwrapped import Unwrapped
from services.veil import hide
from services.ways_out import WaysOut

Kind: TypeAlias = Literal["generate", "models"]

LIMIT_S: Final = 60.0
_MAX_TOKENS: Final = 16
"""The least that every vendor takes."""
_SMALL: Final = re.compile(r"haiku|mini|nano|flash|lite|air|small")
_OTHER: Final = re.compile(r"embed|image|audio|tts|whisper|dall|moderation|realtime|video|veo")
_PROVEN_BY_LIST: Final = frozenset({ErrorKind.UPSTREAM_AUTH, ErrorKind.EGRESS})
"""What a model list proves to be over: it says nothing of limits."""


class Succeeded(Protocol):
    """Tells that a model served: `Cooldowns.succeeded` for the scopes of a route."""

    def __call__(
        self, account_id: str, proxy_id: str | None, route: Route, *, since: float
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of it."""

    ok: bool
    kind: Kind
    model: str | None
    exit: Literal["proxy", "direct", "none"]
    """How it left the house; `none`: it could not."""
    proxy_id: str | None
    status: int | None
    """The provider's; None when none came."""
    latency_ms: float
    error: GatewayError | None = None


class AccountTests:
    """Use cases behind `/api/v1/accounts/{id}/test`."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        snapshot: Callable[[], Snapshot],
        ways: WaysOut,
        calls: AccountCalls,
        discoveries: Discoveries,
        succeeded: Succeeded,
        release: Release,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._snapshot = snapshot
        self._ways = ways
        self._calls = calls
        self._discoveries = discoveries
        self._succeeded = succeeded
        self._release = release
        self._clock = clock

    async def test(self, account_id: str, body: AccountTest) -> Tested:
        """Make the call. Raises NotFound, and Unprocessable for what cannot be asked."""
        stored = await self._accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        provider = self._snapshot().providers.get(stored.account.provider_id)
        if provider is None:
            raise refused("provider_id", f"provider {stored.account.provider_id} is switched off")
        if body.kind == "models":
            return await self._tried(stored, provider, "models", None, self._list)
        offer = _offer(provider, body.dialect)
        model = body.model or self._model(stored.account)
        ask = partial(self._generate, offer, model)
        return await self._tried(stored, provider, "generate", model, ask)

    async def _tried(
        self,
        stored: StoredAccount,
        provider: Provider,
        kind: Kind,
        model: str | None,
        ask: "_Ask",
    ) -> Tested:
        began, at = self._clock.monotonic(), self._clock.now()
        way: Literal["proxy", "direct", "none"] = "none"
        proxy_id: str | None = None
        error: GatewayError | None = None
        status: int | None = 200
        try:
            egress = self._way(stored.account)
            way, proxy_id = ("direct", None) if egress is None else ("proxy", egress.id)
            await ask(stored, provider, egress)
        except (UpstreamError, NoCapacity) as failure:
            error = failure
            status = failure.upstream_status if isinstance(failure, UpstreamError) else None
        else:
            self._proven(stored.account.id, proxy_id, provider, model, at)
        latency_ms = (self._clock.monotonic() - began) * 1000.0
        return Tested(error is None, kind, model, way, proxy_id, status, latency_ms, error)

    def _way(self, account: Account) -> EgressProxy | None:
        """Return the way out; one that is switched off goes the way that it would have."""
        if account.goes_direct and not account.is_active:
            return self._ways.of_new(account.provider_id, account.egress_policy, None)
        return self._ways.of_account(account)

    def _proven(
        self,
        account_id: str,
        proxy_id: str | None,
        provider: Provider,
        model: str | None,
        at: float,
    ) -> None:
        if model is not None:
            self._succeeded(account_id, proxy_id, Route(provider, model), since=at)
            return
        for subject in (account_id, proxy_id):
            if subject is not None:
                evidence = "the model list was read"
                self._release(subject, EVERY_MODEL, evidence, reasons=_PROVEN_BY_LIST)

    # --- the calls ---

    async def _caller(
        self, stored: StoredAccount, provider: Provider, egress: EgressProxy | None
    ) -> Caller:
        caller = await self._calls.caller(stored, provider)
        caller.egress = egress
        return caller

    async def _list(
        self, stored: StoredAccount, provider: Provider, egress: EgressProxy | None
    ) -> None:
        listing = provider.model_list
        step = Step("GET", provider.main.dialect.models_path)
        if listing is not None:
            stored = await self._discoveries.ready(stored, provider)
            step = listing.request(stored.account)
        caller = await self._caller(stored, provider, egress)
        await self._calls.answer(caller, step, limit_s=LIMIT_S)

    async def _generate(
        self,
        offer: Offer,
        model: str,
        stored: StoredAccount,
        provider: Provider,
        egress: EgressProxy | None,
    ) -> None:
        stored = await self._discoveries.ready(stored, provider)
        caller = await self._caller(stored, provider, egress)
        body = _body(offer, model)
        build = partial(_request, Route(provider, model), body, self._calls.user_agent)
        try:
            response = await self._calls.send(caller, offer, build, limit_s=LIMIT_S)
            if provider.envelope is not None:
                response = Unwrapped(response, provider.envelope)
            told = await read_whole(response, LIMIT_S)
            if not _is_answer(offer.dialect, response.status, told):
                raise provider.diagnose(offer.dialect, response.status, response.headers, told)
        except UpstreamError as error:
            hide(error, caller.credentials.access)
            raise

    def _model(self, account: Account) -> str:
        """Return a model to ask for: a small one, if its name says so."""
        listed = self._snapshot().models.get(account.provider_id, ())
        names = account.models or [entry.id for entry in listed]
        usable = [name for name in names if _OTHER.search(name) is None]
        for name in usable:
            if _SMALL.search(name) is not None:
                return name
        if not usable:
            raise refused("model", "no model of the provider is known; name one")
        return usable[0]


class _Ask(Protocol):
    async def __call__(
        self, stored: StoredAccount, provider: Provider, egress: EgressProxy | None
    ) -> None: ...


def _offer(provider: Provider, dialect: str | None) -> Offer:
    offers = [one for one in provider.offers if one.dialect.operation is Operation.GENERATE]
    for offer in offers:
        if dialect in (None, offer.dialect.name):
            return offer
    names = ", ".join(offer.dialect.name for offer in offers)
    raise refused("dialect", f"provider {provider.id} speaks {names}")


def _body(offer: Offer, model: str) -> bytes:
    profile = offer.profile(model)
    asked = ChatRequest(
        model=model,
        stream=False,
        messages=(Message("user", (Text("Reply with the word pong."),)),),
        max_tokens=_MAX_TOKENS,
    )
    payload = offer.dialect.encode_request(asked, profile).payload
    if offer.adapt is not None:
        payload = offer.adapt(payload, profile).payload
    return dumps(payload)


def _request(
    route: Route, body: bytes, user_agent: str, caller: Caller, offer: Offer, base_url: str
) -> UpstreamRequest:
    return build_request(
        route,
        offer,
        base_url,
        body,
        stream=False,
        request_id=new_id(),
        account=caller.stored.account,
        credentials=caller.credentials,
        client_headers={},
        user_agent=user_agent,
    )


def _is_answer(dialect: Dialect, status: int, body: bytes) -> bool:
    payload = parse_lenient(body) if 200 <= status < 300 else None
    if payload is None:
        return False
    is_answer = not dialect.answer_fields.isdisjoint(payload)
    return is_answer and dialect.read_error(payload) is None
