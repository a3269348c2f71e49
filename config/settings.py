"""Every setting of the gateway: its name, type, default and meaning.

`config/config.yaml` shows them all, `docs/configuration.md` is made from this file, and
`config/sources.py` reads them from the file and the environment. Settings never change while
the process runs.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import unquote

from pydantic import Field, model_validator

from config.fields import (
    AdminKey,
    Bytes,
    Count,
    DatabaseUrl,
    Fallbacks,
    MasterKey,
    Network,
    Prefixes,
    PublicUrl,
    RedisUrl,
    Seconds,
    SecondsOrZero,
    SecretUrl,
    SecretWebUrl,
    WebhookSecret,
    WebUrl,
)
from config.frozen import Frozen
from config.login_client import LoginClients

EventLoop: TypeAlias = Literal["uvloop", "asyncio"]


class Server(Frozen):
    """The listening side: address, limits on clients, and how it stops."""

    host: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")] = "127.0.0.1"
    """Address to listen on. Beyond loopback only if an admin key exists."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8088
    """Port to listen on; 0 takes a free one."""

    max_body_bytes: Bytes = 32 * 1024 * 1024
    """Largest request body, after decompression; beyond it the answer is 413."""

    header_timeout_s: Seconds = 10
    """A connection that has not sent a whole request head by then is closed."""

    body_grace_s: Seconds = 10
    """A request body that brings nothing, or too little, for this time gets 408."""

    body_min_bytes_per_s: Annotated[int, Field(ge=0, le=1 << 30)] = 500
    """What is too little, on average over `body_grace_s`; 0 = anything is enough."""

    keepalive_timeout_s: Seconds = 75
    """An idle client connection is closed after this time."""

    stall_timeout_s: Seconds = 60
    """A client that takes nothing of its answer for this long is cut off."""

    max_calls: Count = 10_000
    """Model calls under way at once in one process, streams included; further ones get 503."""

    max_lag_s: SecondsOrZero = 0.01
    """CPU time that a round of the event loop may take, for so long everybody waits: when more
    calls come than can begin in it, the others get 503 at once. 0: they wait."""

    drain_delay_s: SecondsOrZero = 0
    """After SIGTERM the gateway reports itself not ready but still accepts for this time, so that
    a load balancer can turn away first. 5 fits most; 0 when nothing stands in front."""

    drain_timeout_s: SecondsOrZero = 300
    """Running requests get this long to end at shutdown; what is left is cut with an error."""

    event_loop: EventLoop = "uvloop"
    """What runs everything: `uvloop`, which is faster, or Python's own `asyncio`. Where uvloop
    is not installed it is `asyncio`."""


class Database(Frozen):
    """The durable store: SQLite, MySQL or MariaDB."""

    url: DatabaseUrl = SecretUrl("")
    """`mysql+pymysql://user:password@host:3306/name`, or `sqlite:///file`. Empty: the SQLite file
    `aigateway.db` in the data folder."""

    pool_size: Annotated[int, Field(ge=1, le=64)] = 4
    """Connections and database threads of one process; SQLite always uses one."""

    connect_timeout_s: Annotated[int, Field(ge=1, le=300)] = 3
    """Limit on connecting, in whole seconds."""

    read_timeout_s: Annotated[int, Field(ge=1, le=300)] = 5
    """Limit on waiting for an answer, in whole seconds. Without one a frozen server hangs us."""

    write_timeout_s: Annotated[int, Field(ge=1, le=300)] = 5
    """Limit on sending a statement, in whole seconds."""

    revision_poll_s: Annotated[float, Field(ge=0.05, le=60)] = 0.4
    """How often changes made by other processes are looked for."""


class Redis(Frozen):
    """State that several processes share. Not needed for a single one."""

    url: RedisUrl = SecretUrl("")
    """`redis://:password@host:6379/0`, `rediss://...` or `unix://...`. Empty: state in process,
    which allows one worker only."""

    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.25
    """Limit on one command; requests wait for it, so it must be short."""

    breaker_failures: Count = 3
    """After so many failures in a row Redis is left alone for `breaker_pause_s`."""

    breaker_pause_s: Seconds = 2
    """How long Redis is left alone before one probe."""


class Security(Frozen):
    """Keys, and the private networks that operators may point the gateway to."""

    admin_key: AdminKey | None = None
    """An admin key set from outside, at least 32 characters; counts beside those in the database.
    Better in the environment than in a file."""

    master_key: MasterKey | None = None
    """Key that encrypts stored credentials: 32 bytes as base64url. Empty: `master_key_file`."""

    master_key_file: str = ""
    """File that holds the master key, readable by its owner only. Empty: `master.key` in the data
    folder, made by `aigateway init`."""

    allowed_private_networks: tuple[Network, ...] = ()
    """Private networks (CIDR) which base URLs, token URLs and proxies may point to. Empty: none;
    everything that is not public is refused."""


class Routing(Frozen):
    """Which provider serves which model."""

    prefixes: Prefixes = Field(
        default={
            "claude-sonnet-": ("antigravity", "anthropic"),
            "claude-": ("anthropic", "antigravity"),
            "gemini-": ("antigravity", "gemini"),
            "gpt-": ("openai",),
            "chatgpt-": ("openai",),
            "o1": ("openai",),
            "o3": ("openai",),
            "o4": ("openai",),
            "codex-": ("openai",),
            "text-embedding-": ("openai",),
            "glm-": ("glm",),
            "embedding-": ("glm",),
        }
    )
    """Model prefix to provider ids, in order of preference: the first with a usable account serves.
    The longest prefix wins, case does not count. Setting it replaces the whole mapping."""

    strategy: Literal[
        "round_robin", "weighted", "least_inflight", "fill_first", "soonest_reset", "least_used"
    ] = "round_robin"
    """How an account is chosen among equals, for providers that name no strategy of their own."""

    fallbacks: Fallbacks = Field(default_factory=dict, validate_default=True)
    """Model to models that serve in its stead when it cannot, in order; `provider/model` chooses
    the provider. A request names its own in `x-aigateway-fallback`."""

    fallback_mode: Literal["sequential", "race"] = "sequential"
    """`sequential`: one after the other. `race`: all at once, the first with content serves and the
    others are broken off; whatever they cost is paid."""


class Translation(Frozen):
    """What happens between formats."""

    strict: bool = False
    """Refuse a request (400) with settings that its provider cannot carry, instead of dropping
    them and saying so in `x-aigateway-dropped`. A request chooses by `x-aigateway-strict: true`."""


class Responses(Frozen):
    """Answers of the Responses format that clients may come back to, kept where Redis is, else in
    this process until it stops. Sealed with the master key; each API key sees its own."""

    store: bool = True
    """Keep them, unless a request says `store: false`. Off: `previous_response_id` is refused."""

    ttl_s: Annotated[float, Field(ge=60, le=31_536_000)] = 604_800
    """How long one is kept."""

    max_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    """The largest that is kept, as JSON, all the conversation before it included."""


class Affinity(Frozen):
    """Conversations stay with the account that began them, so that its prompt cache serves."""

    enabled: bool = True
    """Off: every request takes its turn."""

    ttl_s: Annotated[float, Field(ge=60, le=604_800)] = 3600
    """How long a conversation is remembered after its last turn."""

    full_wait_s: SecondsOrZero = 2
    """How long a turn waits for its account when that serves as many as it may; then another one
    serves this turn, and the conversation stays."""


class Egress(Frozen):
    """How accounts leave the house."""

    default_policy: Literal["auto", "required", "direct"] = "auto"
    """Policy of accounts that name none. `auto`: through a proxy where one has room, else direct;
    `required`: through a proxy or not at all; `direct`: never through a proxy."""

    quarantine_after: Count = 3
    """Failures of a proxy in a row until nobody uses it for a while."""

    longest_quarantine_s: Seconds = 600
    """The pause begins with `cooldown.egress_s` and doubles up to this."""

    probe_urls: tuple[WebUrl, ...] = ()
    """Addresses that proxies are probed with, tried in turn; one that answers with the caller's
    address as JSON (`ip`, `country`) or as lines (`ip=`, `loc=`) tells the exit. Empty: none."""

    probe_interval_s: Seconds = 300
    """How often each proxy is probed; those in quarantine as often as their pause allows."""

    probe_timeout_s: Seconds = 10
    """Limit on one probe."""

    probe_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Probes at once."""

    rehome_after_s: SecondsOrZero = 0
    """Accounts of a proxy that has been in quarantine for so long move to another one. 0: never;
    an operator moves them."""


class Retry(Frozen):
    """How hard a request tries, and how long it waits for a provider."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Calls of a provider for one request that may have cost something, the first included."""

    max_refusals: Annotated[int, Field(ge=0, le=100)] = 16
    """Accounts that may turn a request down besides, at no cost: a used-up limit, a revoked key,
    a proxy that cannot be reached."""

    attempt_timeout_s: Seconds = 300
    """Limit on the head of an answer that is not streamed; then the next account is asked."""

    stream_attempt_timeout_s: Seconds = 60
    """Limit on the head of a stream; then the next account is asked."""

    budget_ratio: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Repeated calls after a provider failed, as a share of all requests: a provider that is down
    must not be asked many times over."""

    budget_min_per_s: Annotated[float, Field(ge=0, le=10_000)] = 10
    """Repeated calls that are always allowed, per second and process."""

    max_wait_s: SecondsOrZero = 0
    """When every account rests, a request waits up to this long for the first that is well again,
    instead of an answer 429 or 503. 0: it does not wait."""

    hedge_after_s: SecondsOrZero = 0
    """A stream without content after this time is asked of a second account as well, and the first
    that has some serves; both are paid. 0: never."""

    connect_timeout_s: Seconds = 10
    """Limit on reaching the provider, the proxy on the way included."""

    first_byte_timeout_s: Seconds = 600
    """Limit on the first byte of an answer, over all attempts. An answer that is not streamed
    begins when the model is done, so this is long."""

    idle_timeout_s: Seconds = 300
    """A stream that stays silent for this long is broken off. There is no limit on its total."""

    ping_after_s: Seconds = 15
    """After this much silence of the provider the client gets a keep-alive."""

    max_response_bytes: Bytes = 64 * 1024 * 1024
    """Largest answer that is read whole (not streamed), after decompression."""


class Upstream(Frozen):
    """What speaks HTTP with providers."""

    client: Literal["own", "aiohttp"] = "own"
    """`own`: our own client, much cheaper for each call; `aiohttp`: the library's, should a
    provider or a proxy not get along with ours."""


class Cooldown(Frozen):
    """How long an account rests after a failure that names no time itself."""

    rate_limited_s: Seconds = 5
    """After 429 without Retry-After: the account, for that model."""

    failed_s: Seconds = 10
    """After a second 500, 502, 504 or broken answer in a minute: the account, for that model."""

    rejected_s: Seconds = 600
    """After 401 (when a refresh did not help): the account. After 403: it, for that model."""

    egress_s: Seconds = 30
    """After a proxy could not be reached or refused: that proxy and the accounts behind it."""

    overloaded_s: Seconds = 5
    """After 529 or the like: the account, for that model; up to `longest_overloaded_s`."""

    longest_overloaded_s: Seconds = 60
    """The longest pause after an overload."""

    longest_s: Seconds = 300
    """Pauses double from one to the next up to this, unless said otherwise."""

    billing_s: Seconds = 1800
    """After "no credit": the account; doubles up to a day."""

    model_missing_s: Seconds = 43_200
    """After 404 for a model: the account, for that model."""

    trial_every_s: Seconds = 900
    """During a pause of more than twice this, one real request tries so often."""

    max_retry_after_s: Seconds = 21_600
    """A longer Retry-After counts as this."""


class Breaker(Frozen):
    """When a provider fails for everybody, nobody is blamed and nobody is asked for a while."""

    failures: Count = 10
    """Failures within `window_s` that open it, if they are also `ratio` of all calls. 429 does not
    count."""

    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of calls that failed."""

    window_s: Seconds = 10
    """The time that is looked at."""

    pause_s: Seconds = 2
    """The first pause; then one request tries, and the pause doubles while that fails."""

    longest_pause_s: Seconds = 8
    """The longest pause."""


class Tokens(Frozen):
    """How OAuth tokens are kept fresh."""

    refresh_leeway_s: Seconds = 300
    """A token is refreshed when it expires within this time."""

    lease_s: Seconds = 60
    """How long one process has the right to refresh an account; longer than `http_timeout_s`."""

    takeover_grace_s: SecondsOrZero = 60
    """How long after the end of another process's lease its refresh may be taken over. That
    process may hold the new token in its journal; shorter than its restart loses accounts."""

    wait_s: Seconds = 25
    """How long a request waits for a refresh before the next account is tried."""

    http_timeout_s: Seconds = 20
    """Limit on one call of a token endpoint."""

    refresh_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Refreshes at once in the background."""

    @model_validator(mode="after")
    def _lease_outlives_call(self) -> Self:
        if self.lease_s <= self.http_timeout_s:
            raise ValueError("lease_s must be longer than http_timeout_s")
        return self


class Stats(Frozen):
    """Recording of requests."""

    queue_size: Count = 10_000
    """Records held in memory; beyond it they go to the spool on disk."""

    batch_size: Annotated[int, Field(ge=1, le=500)] = 500
    """Records written in one transaction."""

    flush_interval_s: Annotated[float, Field(gt=0, le=60)] = 1
    """How often records are written; what a killed process loses at most."""

    spool_max_bytes: Bytes = 1 << 30
    """Largest spool on disk while the database is away; beyond it the oldest are dropped."""

    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    """Request rows older than this are deleted; 0 keeps them for ever."""

    trace_days: Annotated[int, Field(ge=0, le=36_500)] = 7
    """How long the attempts of each request are kept, which explain it; 0 keeps none."""

    request_stream_usage: bool = True
    """Ask for usage on Chat streams whose client did not, and keep it from the client."""


class Events(Frozen):
    """What operators want to hear of: accounts that cool or need a login, dead proxies."""

    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    """How long they are kept."""

    webhook_url: SecretWebUrl = SecretUrl("")
    """Each event is posted there, in order. Empty: nowhere."""

    webhook_secret: WebhookSecret | None = None
    """Signs what is posted: HMAC-SHA256 over time and body, in `x-aigateway-signature`; 16 to 512
    characters."""


class OAuth(Frozen):
    """Logins in the browser, with the operator's own OAuth clients; none is shipped."""

    public_url: PublicUrl = ""
    """Address of this gateway as browsers reach it, for the callback page. Empty: the address of
    the request that begins the login."""

    flow_ttl_s: Annotated[float, Field(ge=60, le=3600)] = 600
    """How long a login may take."""

    clients: LoginClients = Field(default_factory=dict)
    """Provider id to your own OAuth client there."""


class Logs(Frozen):
    """What is logged, and how it looks. Always to standard error, one event a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is written."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines."""


class Catalog(Frozen):
    """The lists of models."""

    refresh_s: Annotated[float, Field(ge=60, le=604_800)] = 3600
    """How often each provider's list is fetched again."""


class Settings(Frozen):
    """All settings. Frozen; `repr` hides secrets."""

    data_dir: Path = Field(default=Path("data"), exclude=True)
    """Where the gateway keeps its files. Only from AIGATEWAY_DATA_DIR: scripts need it, too."""

    server: Server = Field(default_factory=Server)
    database: Database = Field(default_factory=Database)
    redis: Redis = Field(default_factory=Redis)
    security: Security = Field(default_factory=Security)
    routing: Routing = Field(default_factory=Routing)
    translation: Translation = Field(default_factory=Translation)
    responses: Responses = Field(default_factory=Responses)
    affinity: Affinity = Field(default_factory=Affinity)
    egress: Egress = Field(default_factory=Egress)
    retry: Retry = Field(default_factory=Retry)
    upstream: Upstream = Field(default_factory=Upstream)
    cooldown: Cooldown = Field(default_factory=Cooldown)
    breaker: Breaker = Field(default_factory=Breaker)
    tokens: Tokens = Field(default_factory=Tokens)
    oauth: OAuth = Field(default_factory=OAuth)
    stats: Stats = Field(default_factory=Stats)
    events: Events = Field(default_factory=Events)
    logs: Logs = Field(default_factory=Logs)
    catalog: Catalog = Field(default_factory=Catalog)

    @property
    def database_url(self) -> str:
        """The database's address, the default filled in. Secret: it may hold a password."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.data_dir}/aigateway.db"

    @property
    def redis_url(self) -> str:
        """The address of Redis, or the empty string. Secret: it may hold a password."""
        return self.redis.url.get_secret_value()

    @property
    def master_key_file(self) -> Path:
        """The file of the master key, the default filled in."""
        return Path(self.security.master_key_file or self.data_dir / "master.key")

    @property
    def is_database_in_memory(self) -> bool:
        """Whether the database ends with the process and cannot be shared."""
        scheme, _, rest = self.database_url.partition("://")
        in_memory = rest in ("", "/") or ":memory:" in rest or "mode=memory" in rest
        return scheme == "sqlite" and in_memory

    @property
    def listens_beyond_loopback(self) -> bool:
        """Whether other machines can reach the server. Names but `localhost` count as reachable."""
        host = self.server.host
        if host.lower() == "localhost":
            return False
        try:
            return not ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return True

    def secrets(self) -> tuple[str, ...]:
        """Every secret value among the settings, for the log's mask."""
        keys = (self.security.admin_key, self.security.master_key)
        values = [key.get_secret_value() for key in keys if key is not None]
        for url in (self.database.url, self.redis.url, self.events.webhook_url):
            values.extend(_passwords(url.get_secret_value()))
        clients = self.oauth.clients.values()
        webhook_secret = self.events.webhook_secret
        values += [webhook_secret.get_secret_value()] if webhook_secret is not None else []
        values += [
            client.client_secret.get_secret_value() for client in clients if client.client_secret
        ]
        return tuple(values)


def _passwords(url: str) -> tuple[str, ...]:
    """The password of an address as written and decoded; nothing when there is none."""
    userinfo, mark, _ = url.partition("://")[2].rpartition("@")
    password = userinfo.partition(":")[2] if mark else ""
    return tuple({password, unquote(password)}) if password else ()
