"""One request on its way through the house."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.attempt import Attempt
from models.json_types import JsonObject
from models.usage import NO_USAGE, Usage


@dataclass(slots=True)
class UpstreamRequest:
    """An HTTP request to a provider or a token endpoint, ready to send."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(slots=True)
class ProxyRequest:
    """A client's model call, read and checked."""

    id: str
    client_request_id: str | None
    dialect: str
    """Name of the client's dialect."""
    model: str
    stream: bool
    body: bytes = field(repr=False)
    payload: JsonObject = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Lower-cased names; only those that providers may want to see."""
    key_id: str
    received_at: float
    """Epoch seconds UTC."""
    started: float
    """Monotonic seconds, for durations."""
    strict: bool = False
    """Refuse what would have to be dropped on the way to the provider."""
    fallbacks: tuple[str, ...] | None = None
    """Models that may serve in its stead, in order; None means as configured."""
    is_race: bool | None = None
    """Whether those are asked at once; None means as configured."""
    session: str | None = None
    """Name of the conversation in a header of the client's; such headers go on to nobody."""

    def forget_content(self) -> None:
        """Let go of what was asked: an answer may run for long, and conversations are large."""
        self.body, self.payload, self.headers = b"", {}, {}


@dataclass(slots=True)
class RequestRecord:
    """What is kept of one request: a row of `request_logs`. Filled on the way, sent once."""

    id: str
    at: float
    """Epoch seconds UTC at which the request came."""
    key_id: str
    dialect: str
    model: str
    stream: bool
    client_request_id: str | None = None
    provider_id: str | None = None
    upstream_model: str | None = None
    account_id: str | None = None
    proxy_id: str | None = None
    status: int = 0
    """Status given to the client; 499 when it left."""
    error_code: str | None = None
    attempts: int = 0
    mode: str = "raw"
    """`raw` or `translated`."""
    usage: Usage = NO_USAGE
    first_byte_ms: float | None = None
    latency_ms: float = 0.0
    affinity: str | None = None
    """`new`, `kept`, `borrowed` or `moved`: whether the conversation stayed with its account."""
    cached_tokens_lost: int | None = None
    """Tokens that the account before had in its cache, where the conversation left it."""
    tries: list[Attempt] = field(default_factory=list)
    """Every attempt, in order."""
    egress_errors: tuple[str, ...] = ()
    """Proxies that failed on the way, one entry for each failed attempt; for `proxy_stats`."""
