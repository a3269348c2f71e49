"""What services may ask of stored state.

Everything durable goes through one SQL code path; everything that replicas share but may
lose goes through `SharedState`. All methods that touch a disk or a network are coroutines and
never block the event loop.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from models.account import (
    Account,
    AuthType,
    Credentials,
    EgressPolicy,
    StoredAccount,
    TokenState,
)
from models.attempt import Attempt
from models.egress import EgressProxy
from models.event import Event
from models.exchange import RequestRecord
from models.json_types import JsonObject
from models.principal import ApiKey
from models.provider import StoredProvider
from models.quota import QuotaWindow
from models.rest import Rest

T = TypeVar("T")


class _Unset:
    """Says "leave as it is" where None is a value."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a list and the length of the whole."""

    data: Sequence[T]
    total: int
    limit: int
    offset: int


# --- accounts -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Columns of an account to change; UNSET ones stay. Credentials are replaced whole."""

    label: str | _Unset = UNSET
    auth_type: AuthType | _Unset = UNSET
    credentials: Credentials | _Unset = UNSET
    metadata: JsonObject | _Unset = UNSET
    is_active: bool | _Unset = UNSET
    priority: int | _Unset = UNSET
    models: tuple[str, ...] | None | _Unset = UNSET
    egress_policy: EgressPolicy | _Unset = UNSET
    max_concurrent: int | _Unset = UNSET
    weight: int | _Unset = UNSET
    is_draining: bool | _Unset = UNSET
    draining_since: float | None | _Unset = UNSET
    drain_until: float | None | _Unset = UNSET
    status_reason: str | None | _Unset = UNSET
    identity: str | None | _Unset = UNSET


class AccountRepository(Protocol):
    """Accounts with their credentials, and their places at proxies (fill-first).

    create, update and delete place, release and refill in the same transaction, and raise
    the revision in it, so that capacities hold over all replicas.
    """

    async def all(self) -> list[StoredAccount]:
        """Every account in id order, credentials decrypted: the pool's snapshot."""
        ...

    async def get(self, account_id: str) -> StoredAccount | None: ...

    async def by_identity(self, provider_id: str, identity: str) -> Account | None:
        """Return the account that is this one at its provider."""
        ...

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        provider_id: str | None = None,
        is_active: bool | None = None,
        egress_status: str | None = None,
        proxy_id: str | None = None,
    ) -> Page[Account]: ...

    async def create(self, account: Account, credentials: Credentials) -> Account:
        """Insert and place, at `account.proxy_id` if there is room, else as ever.

        Raises NotFound for an unknown provider, Conflict for a used id or identity.
        """
        ...

    async def create_all(self, made: Sequence[tuple[Account, Credentials]]) -> None:
        """Insert and place all of them, in one transaction. Raises as `create` does."""
        ...

    async def update(self, account_id: str, change: AccountChange) -> Account:
        """Change, then place or release as the new state demands. Raises NotFound.

        New credentials raise `token_version`, set the token state to ok and void the cooldowns.
        """
        ...

    async def complete_metadata(self, account_id: str, facts: JsonObject) -> Account:
        """Add what the metadata lacks; what it has stays, whoever wrote it. Raises NotFound."""
        ...

    async def delete(self, account_id: str) -> None:
        """Delete, free the place and let waiting accounts in. Raises NotFound."""
        ...

    async def reset_cooldowns(self, account_id: str, now: float) -> Account:
        """Void the account's cooldowns on all replicas. Raises NotFound."""
        ...

    # tokens: see services/tokens.py
    async def take_refresh_lease(
        self, account_id: str, owner: str, token_version: int, *, now: float, lease_s: float
    ) -> bool:
        """Win the right to refresh: one conditional UPDATE, one winner.

        Free when nobody holds it, or `owner` itself does, or it ran out before `now`; and
        only while `token_version` is still the stored one.
        """
        ...

    async def release_refresh_lease(self, account_id: str, owner: str) -> None: ...

    async def refresh_lease(self, account_id: str) -> tuple[str, float] | None:
        """Return holder and end (epoch seconds) of the lease, if there is one."""
        ...

    async def store_tokens(
        self, account_id: str, token_version: int, credentials: Credentials
    ) -> bool:
        """Write refreshed credentials if the stored version is still `token_version`.

        The stored version becomes `token_version + 1`, state ok, lease cleared, revision raised.
        """
        ...

    async def set_token_state(
        self, account_id: str, token_version: int, state: TokenState, error: str | None
    ) -> bool:
        """Set the state only while the stored version is `token_version`; raises the revision."""
        ...


# --- egress -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EgressChange:
    """Columns of a proxy to change; UNSET ones stay."""

    label: str | _Unset = UNSET
    url: str | _Unset = UNSET
    provider_id: str | None | _Unset = UNSET
    priority: int | _Unset = UNSET
    max_accounts: int | _Unset = UNSET
    is_active: bool | _Unset = UNSET


@dataclass(frozen=True, slots=True)
class Recalculated:
    """What `recalculate` found and mended."""

    proxies: int
    corrected: int
    """Proxies whose counter did not equal the truth."""
    placed: int
    """Waiting accounts that got a place."""


@dataclass(frozen=True, slots=True)
class EgressCheck:
    """What a probe of a proxy found."""

    at: float
    error: str | None = None
    latency_ms: float | None = None
    exit_address: str | None = None
    exit_country: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one of many new proxies."""

    proxy_id: str
    """The new one, or the one that has this address already."""
    is_new: bool


@dataclass(frozen=True, slots=True)
class Move:
    """An account that leaves one proxy for another."""

    account_id: str
    proxy_id: str | None
    """Where it goes; None when there is no room and it stays."""


class EgressRepository(Protocol):
    """Outbound proxies and who holds a place at them."""

    async def all(self) -> list[EgressProxy]: ...

    async def get(self, proxy_id: str) -> EgressProxy | None: ...

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        provider_id: str | None = None,
        is_active: bool | None = None,
    ) -> Page[EgressProxy]: ...

    async def some(self, proxy_ids: Sequence[str]) -> list[EgressProxy]:
        """Return those of these that exist, in id order."""
        ...

    async def create(self, proxy: EgressProxy) -> EgressProxy:
        """Insert and let waiting accounts in. Raises Conflict when the address is known."""
        ...

    async def known(self, urls: Sequence[str]) -> dict[str, str]:
        """Return the ids of the proxies that have these addresses, by address."""
        ...

    async def create_many(self, proxies: Sequence[EgressProxy]) -> list[Added]:
        """Insert those whose address is new, in one transaction, and let waiting accounts in; say
        what became of each, in order. The addresses must differ from one another."""
        ...

    async def update(self, proxy_id: str, change: EgressChange) -> EgressProxy:
        """Change. Switching off, or another provider, re-homes or lets wait the accounts that
        no longer fit; room lets waiting accounts in. A smaller capacity moves nobody."""
        ...

    async def delete(self, proxy_id: str) -> None:
        """Delete; its accounts are re-homed, or wait: they never go direct."""
        ...

    async def assignments(self, proxy_id: str) -> list[Account]:
        """Accounts that hold a place at the proxy, in id order. Raises NotFound."""
        ...

    async def recalculate(self) -> Recalculated:
        """Set every counter to the truth and let waiting accounts in."""
        ...

    async def checked(self) -> dict[str, float | None]:
        """Return when each active proxy was probed last."""
        ...

    async def store_check(self, proxy_id: str, check: "EgressCheck") -> None:
        """Keep what a probe found. Raises no revision: requests do not read it."""
        ...

    async def rehome(
        self, proxy_id: str, *, dry_run: bool, avoiding: Collection[str] = ()
    ) -> list["Move"]:
        """Give every account of the proxy a place at another one that is open and has room, the
        usual way, but at none of `avoiding`; who finds none keeps its place. With `dry_run` nothing
        is changed. Raises NotFound."""
        ...


# --- keys, providers, revisions -------------------------------------------------------------


class KeyRepository(Protocol):
    """Client keys, as hashes."""

    async def all(self) -> list[ApiKey]: ...

    async def get(self, key_id: str) -> ApiKey | None: ...

    async def page(self, *, limit: int, offset: int) -> Page[ApiKey]: ...

    async def create(self, key: ApiKey) -> ApiKey: ...

    async def update(
        self,
        key_id: str,
        *,
        name: str | _Unset = UNSET,
        is_admin: bool | _Unset = UNSET,
        is_active: bool | _Unset = UNSET,
        expires_at: float | None | _Unset = UNSET,
    ) -> ApiKey: ...

    async def delete(self, key_id: str) -> None: ...


class ProviderRepository(Protocol):
    """Rows of `providers`; built-in ones are seeded by `seed`."""

    async def seed(self, builtin: Sequence[StoredProvider]) -> None:
        """Insert the built-in providers that have no row yet."""
        ...

    async def all(self) -> list[StoredProvider]: ...

    async def get(self, provider_id: str) -> StoredProvider | None: ...

    async def page(self, *, limit: int, offset: int) -> Page[StoredProvider]: ...

    async def create(self, provider: StoredProvider) -> StoredProvider:
        """Raises Conflict when the id is taken."""
        ...

    async def update(
        self,
        provider_id: str,
        *,
        name: str | _Unset = UNSET,
        dialect: str | _Unset = UNSET,
        base_url: str | None | _Unset = UNSET,
        prefixes: tuple[str, ...] | None | _Unset = UNSET,
        is_active: bool | _Unset = UNSET,
        strategy: str | None | _Unset = UNSET,
    ) -> StoredProvider: ...

    async def delete(self, provider_id: str) -> None:
        """Raises Conflict for a built-in provider or one that still has accounts."""
        ...

    async def models(self) -> dict[str, list[JsonObject]]:
        """Model entries (`{"id", "created", "display_name"}`) by provider id."""
        ...

    async def store_models(
        self, provider_id: str, entries: Sequence[JsonObject], *, now: float
    ) -> None:
        """Replace the provider's list; raises the revision when the ids changed."""
        ...


class RevisionRepository(Protocol):
    """One number that grows with every change of what requests read from snapshots."""

    async def current(self) -> int: ...


# --- statistics -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which rows of `request_logs` to list; None matches all."""

    provider_id: str | None = None
    account_id: str | None = None
    proxy_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    status: int | None = None
    error_code: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ProxyDay:
    """One proxy and provider on one day (UTC)."""

    proxy_id: str
    provider_id: str
    day: str
    """`YYYY-MM-DD`."""
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    latency_ms: float
    """Sum over the requests."""


@dataclass(frozen=True, slots=True)
class AffinitySummary:
    """Turns of conversations, by whether they stayed with their account."""

    turns: int = 0
    """All that belong to a conversation, the first ones included."""
    kept: int = 0
    borrowed: int = 0
    moved: int = 0
    cached_tokens_kept: int = 0
    """Read from the caches of accounts that conversations stayed with."""
    cached_tokens_lost: int = 0
    """Left behind in the caches of accounts, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over a span, and the same by provider, model and status class."""

    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    mean_latency_ms: float
    by_provider: Mapping[str, int] = field(default_factory=dict)
    by_model: Mapping[str, int] = field(default_factory=dict)
    by_status: Mapping[str, int] = field(default_factory=dict)
    affinity: AffinitySummary = field(default_factory=AffinitySummary)


class StatsRepository(Protocol):
    """The ledger of requests."""

    async def store(self, records: Sequence[RequestRecord]) -> int:
        """Write a batch in one transaction and return how many rows were new.

        Ids that exist already are passed over and do not count again in `proxy_stats`.
        """
        ...

    async def logs(self, log_filter: LogFilter, *, limit: int, offset: int) -> Page[RequestRecord]:
        """Newest first."""
        ...

    async def find(self, name: str) -> RequestRecord | None:
        """A request by its id, else the latest that its client gave this id; without attempts."""
        ...

    async def proxy_days(self, proxy_id: str, *, days: int, now: float) -> list[ProxyDay]: ...

    async def summary(self, *, since: float, until: float) -> Summary: ...

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Delete at most `batch` rows older than `at`; returns how many."""
        ...


class AttemptRepository(Protocol):
    """What happened in each attempt, and the pictures of the pool it was decided on.

    They are written by `StatsRepository.store`, in the transaction of their request.
    """

    async def of_request(self, request_id: str) -> list[Attempt]:
        """Every attempt of a request in order, with its decision."""
        ...

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Delete at most `batch` rows older than `at`, and decisions that nothing refers to any
        more; returns how many."""
        ...


class RestRepository(Protocol):
    """Rests over a restart. Not on the request path."""

    async def all(self, now: float) -> list[Rest]:
        """Those that have not ended by `now`, or ended within the last ten minutes."""
        ...

    async def store(self, rests: Sequence[Rest]) -> None:
        """Insert or replace; one that ends later than the given stays."""
        ...

    async def delete(self, ended: Mapping[tuple[str, str], float]) -> None:
        """Delete by subject and scope what began no later than the given moments."""
        ...

    async def delete_before(self, at: float) -> int:
        """Delete those that ended before."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """What one account did with one model, as the ledger has it; refused requests left out."""

    account_id: str
    model: str
    """As the provider knows it."""
    requests: int
    tokens: int
    """In and out, cached ones included."""


class QuotaRepository(Protocol):
    """What is left of the limits of accounts."""

    async def all(self) -> list[QuotaWindow]: ...

    async def updated_since(self, at: float) -> list[QuotaWindow]: ...

    async def store(self, windows: Sequence[QuotaWindow]) -> None:
        """Insert or replace; one that was updated later stays."""
        ...

    async def delete(self, account_id: str) -> None:
        """Forget an account's."""
        ...

    async def delete_orphans(self) -> int:
        """Forget those of accounts that are gone; return how many windows it was."""
        ...

    async def use(
        self, *, since: float, account_id: str | None = None, provider_id: str | None = None
    ) -> list[Use]:
        """Sum up the ledger by account and model."""
        ...


class EventRepository(Protocol):
    """What operators want to hear of."""

    async def store(self, events: Sequence[Event]) -> None:
        """Insert; ids that exist already are passed over."""
        ...

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        kind: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        since: float | None = None,
    ) -> Page[Event]:
        """Newest first."""
        ...

    async def after(self, position: int, *, limit: int) -> list[Event]:
        """Those with a greater position, in its order; what is stored later has a greater one."""
        ...

    async def last_position(self) -> int:
        """The greatest position that an event had so far; 0 before the first."""
        ...

    async def delete_before(self, at: float, *, batch: int) -> int: ...


class CursorRepository(Protocol):
    """How far something has been done that goes on."""

    async def get(self, name: str) -> str | None: ...

    async def put(self, name: str, value: str, *, now: float) -> None: ...

    async def lead(self, name: str, owner: str, *, now: float, lease_s: float) -> bool:
        """Win or keep a lease on doing something: one holder at a time over all replicas."""
        ...

    async def free(self, name: str, owner: str) -> None:
        """End a lease, if it is the owner's."""
        ...


@dataclass(frozen=True, slots=True)
class OAuthFlow:
    """A login that has begun."""

    id: str
    """Keyed hash of its state, or of its device code: neither is stored."""
    provider_id: str
    key_id: str
    """Whose key began it; no other may end it."""
    kind: Literal["code", "device"]
    secrets: Mapping[str, str] = field(repr=False)
    """Verifier, redirect URI, device code and the like; sealed at rest."""
    proxy_id: str | None
    """The way out that the account will have; None for direct."""
    account_id: str | None
    """The account that logs in again; None for a new one."""
    created_at: float
    expires_at: float
    used_at: float | None = None
    """When somebody came back with a code or a refusal, or a device was agreed to."""
    browser: str | None = None
    """Keyed hash of the cookie of the browser that opened the start page."""
    outcome: str | None = None
    """`done`, or one of the known words for why not; None until it is decided."""


class OAuthFlowRepository(Protocol):
    """Logins that have begun and not ended; any replica may end them."""

    async def create(self, flow: OAuthFlow) -> None: ...

    async def get(self, flow_id: str) -> OAuthFlow | None: ...

    async def pending(self, key_id: str, *, now: float) -> int:
        """How many logins of a key are neither used nor over."""
        ...

    async def open_in(self, flow_id: str, browser: str, *, now: float) -> bool:
        """Bind the flow to a browser: true for exactly one caller, before it is used or over."""
        ...

    async def use(self, flow_id: str, *, now: float) -> bool:
        """True for exactly one caller, before the flow ends."""
        ...

    async def finish(self, flow_id: str, outcome: str, account_id: str | None) -> None:
        """Note how it ended, and which account it led to; its secrets are forgotten."""
        ...

    async def delete_before(self, at: float) -> int: ...


class JobRepository(Protocol):
    """Which periodic work ran in which slot, over all replicas."""

    async def claim(self, job: str, slot: str, owner: str, *, now: float) -> bool:
        """True for exactly one caller of each (job, slot)."""
        ...

    async def finish(self, job: str, slot: str, outcome: str, *, now: float) -> None: ...

    async def delete_before(self, at: float) -> int: ...


# --- shared state ---------------------------------------------------------------------------


class SharedState(Protocol):
    """Small state that replicas share and may lose: counters, cached tokens, hints.

    Fails open: when the store is away, `increment` goes on with local counters and the
    others behave as if nothing were stored. It never raises for an outage and never waits
    longer than its timeout.
    """

    mode: Literal["memory", "redis"]

    @property
    def is_available(self) -> bool:
        """Whether the store answered last; the in-process one always does."""
        ...

    async def increment(self, key: str, by: int = 1) -> int:
        """Add and return the new value. Increments of one event-loop tick for one key go as one
        command; each caller still gets its own number. Never retried."""
        ...

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...

    async def delete(self, key: str) -> None: ...

    async def count_today(self, counts: Mapping[str, int], *, now: float) -> None:
        """Raise counters that end at the next UTC midnight (`SET k 0 EXAT NX` + `INCRBY`)."""
        ...

    async def read_counts(self, keys: Sequence[str]) -> list[int]: ...

    async def claim(self, key: str, ttl_s: float) -> bool:
        """True for the first caller within `ttl_s`, over all replicas. While the store is away:
        for the first one of this process."""
        ...

    async def bind(self, key: str, value: bytes, ttl_s: float) -> bytes:
        """Store unless something is there, and return what is there then. While the store is
        away: `value`."""
        ...

    async def touch(self, key: str, ttl_s: float) -> None:
        """Let a key live so long from now on, if it is there."""
        ...

    async def raise_field(self, key: str, name: str, rank: float, value: bytes) -> bool:
        """Set a field of a hash unless one of the same or a greater rank is there; say whether it
        was set."""
        ...

    async def drop_field(self, key: str, name: str) -> None: ...

    async def fields(self, key: str) -> dict[str, bytes]:
        """Every field of a hash, without its ranks; {} while the store is away."""
        ...

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        """Take one of an account's places for requests at once; return how many are taken then,
        this one included, or 0 when all are. A place that is not renewed is free after `ttl_s`.
        Time is the store's own. While the store is away: places of this process."""
        ...

    async def renew_slots(self, held: Sequence[tuple[str, str]], ttl_s: float) -> None:
        """Keep places, given as (account id, holder). One that ran out is taken again."""
        ...

    async def free_slot(self, account_id: str, holder: str) -> None: ...

    async def slots_taken(self, account_ids: Sequence[str]) -> list[int]:
        """How many places of each account are taken."""
        ...

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell the other replicas, if they listen; nothing is promised."""
        ...

    def subscribe(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield messages until closed; survives outages by subscribing again."""
        ...

    async def aclose(self) -> None: ...
