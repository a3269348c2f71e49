"""What an upstream service is: where it lives, how it is signed, how its failures read. No IO."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from dialects.base import Adapt, Dialect, ModelEntry, Operation
from dialects.foreign import Foreign
from models.account import Account, AuthType, Credentials, Strategy
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.profile import ProfileOf
from models.quota import QuotaWindow
from providers.failures import Diagnose
from providers.signing import Sign


@dataclass(frozen=True, slots=True)
class Offer:
    """One dialect that a provider speaks, and what holds for it there."""

    dialect: Dialect
    base_url: str
    """In the form that the provider's official SDK takes."""
    sign: Sign
    profile: ProfileOf
    adapt: Adapt | None = None
    """Edits that a payload in the dialect needs here; None when it passes as it is."""
    reports_stream_usage: bool = False
    """Usage comes with every stream, so it must not be asked for (`stream_options`)."""
    fixed_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every call unless the client's own come through, such as a protocol version."""
    foreign: Foreign | None = None
    """What other vendors leave in a history that passes raw, where it would be refused."""
    mirrors: tuple[str, ...] = ()
    """Further addresses of the same service, tried in order when one fails as a host."""

    def spoken(self, *dialects: Dialect) -> tuple["Offer", ...]:
        """Return this offer and the same for other dialects, for the operations around it."""
        return (self, *(replace(self, dialect=dialect) for dialect in dialects))


class Unwrapper(Protocol):
    """Takes what a provider put around a stream off, however it is cut."""

    @property
    def overflowed(self) -> bool:
        """Whether a frame came that is too long to be held; nothing comes out any more."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return the whole frames that `data` completes, unwrapped. Never raises."""
        ...

    def end(self) -> bytes:
        """The stream ended: return what is left."""
        ...


class Envelope(Protocol):
    """What a provider puts around a dialect: other paths, and JSON around its JSON."""

    def path(self, operation: Operation, *, stream: bool) -> str:
        """What is appended to the base URL."""
        ...

    def wrap(
        self, body: bytes, operation: Operation, *, model: str, account: Account, request_id: str
    ) -> bytes:
        """Put a request in; the account says whose project it is."""
        ...

    def unwrap(self, body: bytes) -> bytes:
        """Take a whole answer out; what is not wrapped comes back as it is. Never raises."""
        ...

    def unwrapper(self) -> Unwrapper: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A call beside those of models, below the base URL and signed as they are."""

    method: str
    path: str
    payload: JsonObject | None = None
    pause_s: float = 0.0
    """Wait so long before it is sent."""


class Discovery(Protocol):
    """Finds out what an account must know of itself before its first call."""

    def is_needed(self, account: Account) -> bool: ...

    def steps(self, account: Account) -> Generator[Step, JsonObject, JsonObject]:
        """Yield calls, take their answers, return what to add to the account's metadata.

        The UpstreamError of a call that failed is thrown in where it was yielded. Raises
        UpstreamError (blame ACCOUNT) when the account cannot be used.
        """
        ...


class ModelList(Protocol):
    """How a provider tells its models, where that is no part of its dialect."""

    def request(self, account: Account) -> Step: ...

    def read(self, payload: JsonObject) -> list[ModelEntry]:
        """Read the list (provider_id left empty); unknown shapes give []."""
        ...

    def quotas(self, payload: JsonObject, now: float) -> Sequence[QuotaWindow]:
        """Return what the list tells of the asked account's limits, its id left empty."""
        ...


FamilyOf: TypeAlias = Callable[[str], str | None]
"""model -> its family, such as `opus`; None where families share nothing."""

ReadQuota: TypeAlias = Callable[[Mapping[str, str], str, float], Sequence[QuotaWindow]]
"""(headers, model, now) -> windows, their account_id left empty. Any status; never raises."""


def no_family(_model: str) -> None:
    """Limits are shared by no family of models."""
    return


def no_quota(_headers: Mapping[str, str], _model: str, _now: float) -> Sequence[QuotaWindow]:
    """The headers tell nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream service, built in or made by the operator."""

    id: str
    name: str
    offers: tuple[Offer, ...]
    """The dialects it speaks; the first is what others are translated to."""
    diagnose: Diagnose
    prefixes: tuple[str, ...] = ()
    auth_types: frozenset[AuthType] = frozenset(AuthType)
    """How its accounts may sign."""
    envelope: Envelope | None = None
    discovery: Discovery | None = None
    model_list: ModelList | None = None
    """None where the main dialect's own list is what there is."""
    family_of: FamilyOf = no_family
    """Which family of models shares limits with this one."""
    read_quota: ReadQuota = no_quota
    """What an answer's headers tell of the account's limits."""
    strategy: Strategy | None = None
    """How its next account is chosen; None means as configured."""

    @property
    def main(self) -> Offer:
        """What model lists and lists of providers speak of."""
        return self.offers[0]

    def offer_for(self, client: Dialect) -> Offer | None:
        """Return the client's own dialect where the provider speaks it, else the first of the
        same operation; None where it has no such operation."""
        for offer in self.offers:
            if offer.dialect is client:
                return offer
        for offer in self.offers:
            if offer.dialect.operation is client.operation:
                return offer
        return None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request may go: a provider and the name it knows the model by."""

    provider: Provider
    model: str
    family: str | None = field(init=False, repr=False, compare=False)
    """Whose limits the model shares; None where families share nothing."""
    key: tuple[str, str, Strategy | None] = field(init=False, repr=False, compare=False)
    """The same for routes on which accounts are chosen alike."""

    def __post_init__(self) -> None:
        # Once: routes are kept, and each request asks several times.
        provider, model = self.provider, self.model
        object.__setattr__(self, "family", provider.family_of(model))
        object.__setattr__(self, "key", (provider.id, model, provider.strategy))


def build_request(
    route: Route,
    offer: Offer,
    base_url: str,
    body: bytes,
    *,
    stream: bool,
    request_id: str,
    account: Account,
    credentials: Credentials,
    client_headers: Mapping[str, str],
    user_agent: str,
) -> UpstreamRequest:
    """Build the HTTP request of one model call, headers from an allow-list only."""
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        "user-agent": user_agent,
        **offer.fixed_headers,
        **client_headers,
    }
    offer.sign(headers, account, credentials)
    dialect, envelope = offer.dialect, route.provider.envelope
    if envelope is None:
        path = dialect.upstream_path(route.model, stream=stream)
    else:
        path = envelope.path(dialect.operation, stream=stream)
        body = envelope.wrap(
            body, dialect.operation, model=route.model, account=account, request_id=request_id
        )
    return UpstreamRequest("POST", base_url + path, headers, body)
