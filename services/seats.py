"""The accounts of each provider as the pool works with them: what is stored of them, what this
process has under way with them, and which of them changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from models.account import Account, AuthType, StoredAccount, TokenState
from models.egress import EgressProxy
from services.snapshot import Snapshot

Key: TypeAlias = tuple[int, str]
"""What seats are sorted by: priority descending, then id."""

_MAX_LOG: Final = 1024


class Seat:
    """One account. It outlives snapshots, so that what is under way is not forgotten."""

    __slots__ = (
        "_facts",
        "egress",
        "full_until",
        "held",
        "id",
        "inflight",
        "key",
        "limit",
        "models",
        "obstacle",
        "others",
        "roster",
        "stored",
        "used",
        "weight",
    )

    def __init__(self, account_id: str, roster: "Roster") -> None:
        self.id = account_id
        self.roster = roster
        self.stored: StoredAccount
        self.egress: EgressProxy | None = None
        """Its way out; None for direct, or for none at all: then `obstacle` says so."""
        self.obstacle: str | None = None
        """What keeps it from serving any model until somebody changes something."""
        self.models: frozenset[str] | None = None
        self.key: Key = (0, account_id)
        self.limit = 0
        self.weight = 1
        self.inflight = 0
        """Requests that this process has under way with it."""
        self.held = 0
        """Places of it that this process holds, or is about to take or to give back."""
        self.others = 0
        """Places that other replicas held when we last heard."""
        self.full_until = 0.0
        """Monotonic seconds: until then nobody asks for a place, because all were taken."""
        self.used = 0
        """When it was lent last: a number of `Roster.uses`."""
        self._facts: tuple[object, ...] = ()

    @property
    def account(self) -> Account:
        return self.stored.account

    @property
    def is_gone(self) -> bool:
        """Whether it cannot serve until somebody changes something, or is there no more."""
        return self.obstacle is not None or self.roster.by_id.get(self.id) is not self

    @property
    def is_full(self) -> bool:
        """Whether there is no place left, as far as this process knows."""
        return self.limit > 0 and (self.full_until > 0 or self.held >= self.limit)

    @property
    def places(self) -> int:
        """How many requests may hope for a place; many where there is no limit."""
        if self.limit <= 0:
            return _MAX_LOG
        return 0 if self.is_full else max(self.limit - self.held - self.others, 1)

    def take(self, stored: StoredAccount, proxies: Mapping[str, EgressProxy]) -> None:
        """Take over what is stored now, and tell the roster what that changes."""
        self.stored, account = stored, stored.account
        self.egress = None if account.goes_direct else open_proxy(account, proxies)
        self.obstacle = _obstacle(account, self.egress)
        shape = (-account.priority, account.max_concurrent, account.weight)
        way = self.egress.id if self.egress is not None else None
        facts = (self.obstacle, way, account.models, account.is_draining)
        if shape != (self.key[0], self.limit, self.weight):
            self.key, self.limit, self.weight = (shape[0], self.id), shape[1], shape[2]
            self.full_until = 0.0
            self.roster.is_reshaped = True
        if facts != self._facts:
            self._facts = facts
            self.models = None if account.models is None else frozenset(account.models)
            self.roster.changed(self)


class Roster:
    """The accounts of one provider in the order of tiers, and which of them changed lately.

    Whoever derives something from it keeps `end`: a greater one means that `since` names what
    changed, or that everything is to be derived anew.
    """

    def __init__(self) -> None:
        self.seats: tuple[Seat, ...] = ()
        """Best priority first, then by id."""
        self.by_id: dict[str, Seat] = {}
        self.is_reshaped = False
        self.uses = 0
        """Counts requests, while somebody wants to know of them."""
        self.tells_use = False
        """Whether somebody wants to know of each request that begins or ends."""
        self.end = 0
        """The number of the next change."""
        self._present: tuple[Seat, ...] = ()
        self._log: list[Seat] = []

    def changed(self, seat: Seat) -> None:
        """Note that a seat is to be looked at again."""
        log = self._log
        log.append(seat)
        self.end += 1
        if len(log) > max(_MAX_LOG, 4 * len(self.seats)):
            del log[: len(log) // 2]

    def since(self, end: int) -> list[Seat] | None:
        """Return what changed since an end, each once; None when that is not known any more."""
        begin = self.end - len(self._log)
        return None if end < begin else list(dict.fromkeys(self._log[end - begin :]))

    def take(self, seats: Sequence[Seat]) -> None:
        """Take over which accounts there are, in id order."""
        present = tuple(seats)
        if present == self._present and not self.is_reshaped:
            return
        self._present, self.is_reshaped = present, False
        self.by_id = {seat.id: seat for seat in present}
        self.seats = tuple(sorted(present, key=_key))
        self._log.clear()  # which seats there are: more than a list of changed ones can tell
        self.end += 1


class Rosters:
    """The rosters of all providers, and who is behind which proxy."""

    def __init__(self) -> None:
        self._rosters: dict[str, Roster] = {}
        self._seats: dict[str, Seat] = {}
        self._behind: dict[str, list[Seat]] = {}

    def of(self, provider_id: str) -> Roster:
        return self._rosters.setdefault(provider_id, Roster())

    def seat(self, account_id: str) -> Seat | None:
        return self._seats.get(account_id)

    def take(self, snapshot: Snapshot) -> None:
        """Take over what a new snapshot says."""
        before, self._seats = self._seats, {}
        self._behind = {}
        for provider_id in self._rosters.keys() | snapshot.by_provider.keys():
            roster = self.of(provider_id)
            stored = snapshot.by_provider.get(provider_id, ())
            roster.take([self._seat(one, roster, before, snapshot.proxies) for one in stored])

    def touched(self, subject: str) -> Iterable[Seat]:
        """Return whom the rests of a subject concern: an account, or those behind a proxy."""
        seat = self._seats.get(subject)
        return self._behind.get(subject, ()) if seat is None else (seat,)

    def _seat(
        self,
        stored: StoredAccount,
        roster: Roster,
        before: Mapping[str, Seat],
        proxies: Mapping[str, EgressProxy],
    ) -> Seat:
        account_id = stored.account.id
        seat = before.get(account_id)
        if seat is None or seat.roster is not roster:
            seat = Seat(account_id, roster)
        seat.take(stored, proxies)
        self._seats[account_id] = seat
        if seat.egress is not None:
            self._behind.setdefault(seat.egress.id, []).append(seat)
        return seat


def open_proxy(account: Account, proxies: Mapping[str, EgressProxy]) -> EgressProxy | None:
    """Return the proxy that an account holds a place at, if it is switched on."""
    proxy = proxies.get(account.proxy_id or "")
    return proxy if proxy is not None and proxy.is_active else None


def _obstacle(account: Account, egress: EgressProxy | None) -> str | None:
    if not account.is_active:
        return "inactive"
    if account.token_state is TokenState.NEEDS_REAUTH and account.auth_type is AuthType.OAUTH:
        return "needs_login"
    if egress is None and not account.goes_direct:
        return "waiting_for_proxy"
    return None


def _key(seat: Seat) -> Key:
    return seat.key
