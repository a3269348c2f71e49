"""What is left of the limits of accounts, as their providers tell it.

In memory, for the request path; `services/quota_sync.py` shares it with the other replicas and
keeps it over restarts. What nobody tells is learned (`services/quota_learning.py`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import inf
from typing import Final, Protocol, TypeAlias

from models.account import StoredAccount
from models.errors import Blame, ErrorKind, UpstreamError
from models.ports import Clock
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL, family_scope
from providers.base import Provider, Route, no_quota
from services.estimates import as_learned
from services.forecast import Rises
from services.quota_windows import is_rate, length_s
from services.snapshot import Snapshot
from services.window_ends import WindowEnds

RATE_KINDS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.QUOTA})
FORGOTTEN: Final = "forgotten"
"""Name of the row that says: everything of this account that is older counts no more."""

_READ_EVERY_S: Final = 1.0
_MAX_WINDOWS: Final = 128
"""Of one account; providers name models, so there may be many."""
_REFUSED: Final = 429
_RATE_LASTS_S: Final = 60.0
_LASTS_S: Final = 86_400.0
"""How long a share without a reset is believed."""

# What must have changed so that the other replicas hear of it at once.
_MIN_STEP: Final = 0.01
_MIN_SHIFT_S: Final = 60.0

Key: TypeAlias = tuple[str, str, str]
"""Account id, scope and window."""
Bench: TypeAlias = Callable[[str, Route, UpstreamError], object]
"""(account id, route, error): lets the one to blame rest."""


class Release(Protocol):
    """Ends a rest on positive evidence, only for these reasons if given: `Cooldowns.release`."""

    def __call__(
        self,
        subject: str,
        scope: str,
        evidence: str,
        *,
        reasons: Collection[ErrorKind] | None = None,
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class Used:
    """What was used of a learned window, and when that was counted."""

    amount: int
    at: float


class Quotas:
    """Windows by account. Nothing here waits."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], release: Release, bench: Bench, clock: Clock
    ) -> None:
        self._snapshot = snapshot
        self._end_rest = release
        self._bench = bench
        self._clock = clock
        self._known: dict[str, dict[tuple[str, str], QuotaWindow]] = {}
        self._forgotten: dict[str, float] = {}
        self._used: dict[Key, Used] = {}
        self._read_at: dict[str, float] = {}
        self._unsaved: dict[Key, QuotaWindow] = {}
        self._saved: dict[Key, QuotaWindow] = {}
        self.rises = Rises()
        self.ends = WindowEnds()

    # --- told by providers ---

    def saw(self, account_id: str, route: Route, status: int, headers: Mapping[str, str]) -> None:
        """Look at the head of an answer, at most once a second for each account; a refusal always.

        What is below 100 % ends a rest that a used-up limit began.
        """
        read_quota = route.provider.read_quota
        if read_quota is no_quota:
            return
        now = self._clock.monotonic()
        if status != _REFUSED and now - self._read_at.get(account_id, -inf) < _READ_EVERY_S:
            return
        self._read_at[account_id] = now
        windows = read_quota(headers, route.model, self._clock.now())
        if not windows:
            return
        self._told(account_id, windows)
        if status != _REFUSED:
            self._release(account_id, windows)

    def failed(self, account_id: str, route: Route, error: UpstreamError) -> None:
        """Note a refusal that tells the end of a window which nobody tells otherwise."""
        if error.kind in RATE_KINDS and not self.is_told(account_id):
            self.ends.note(account_id, route, error, self._clock.now())

    def probed(self, account_id: str, provider: Provider, windows: Sequence[QuotaWindow]) -> None:
        """Take what a model list says. Who has nothing left rests, so that requests need not find
        out one by one."""
        self._told(account_id, windows)
        self._release(account_id, windows)
        now = self._clock.now()
        for window in windows:
            if _is_used_up(window) and window.resets_at is not None and window.resets_at > now:
                error = _used_up(window, window.resets_at - now)
                self._bench(account_id, Route(provider, window.model), error)

    def _told(self, account_id: str, windows: Iterable[QuotaWindow]) -> None:
        for window in windows:
            self.take(replace(window, account_id=account_id))

    def _release(self, account_id: str, windows: Iterable[QuotaWindow]) -> None:
        """End rests where every limit of their scope that was told has something left."""
        fullest: dict[str, QuotaWindow] = {}
        for window in windows:
            if window.used_ratio is not None:
                known = fullest.get(window.model)
                if known is None or window.used_ratio > (known.used_ratio or 0.0):
                    fullest[window.model] = window
        for scope, window in fullest.items():
            if not _is_used_up(window):
                evidence = f"{window.window}: {window.used_ratio or 0.0:.0%} used"
                self._end_rest(account_id, scope, evidence, reasons=RATE_KINDS)

    # --- asked ---

    def windows(self, account_id: str) -> list[QuotaWindow]:
        """Return what is known of an account, in the order of scopes and names."""
        now = self._clock.now()
        found = self._known.get(account_id, {})
        return [self._shown(found[key], now) for key in sorted(found)]

    def used_ratio(self, account_id: str, model: str) -> float | None:
        """Return how much of the limit that ends first is used; None when nothing is known."""
        ratios = [
            window.used_ratio
            for window in self._about(account_id, model)
            if window.used_ratio is not None
        ]
        return max(ratios, default=None)

    def resets_at(self, account_id: str, model: str) -> float | None:
        """Return when the first of the limits is full again; those on the pace count only where
        no other is known."""
        now = self._clock.now()
        coming = [
            window
            for window in self._about(account_id, model)
            if window.resets_at is not None and window.resets_at > now
        ]
        lasting = [window for window in coming if not is_rate(window)]
        return min((window.resets_at or now for window in lasting or coming), default=None)

    def is_told(self, account_id: str) -> bool:
        """Whether the provider tells how long the account lasts, so that it need not be learned."""
        return any(
            window.source != "learned" and not is_rate(window)
            for window in self._known.get(account_id, {}).values()
        )

    def known(self, account_id: str) -> list[QuotaWindow]:
        """Return an account's windows as they were told, or learned."""
        return list(self._known.get(account_id, {}).values())

    def learned(self) -> list[QuotaWindow]:
        """Return every window that was learned."""
        return [
            window
            for windows in self._known.values()
            for window in windows.values()
            if window.source == "learned"
        ]

    def _about(self, account_id: str, model: str) -> list[QuotaWindow]:
        known = self._known.get(account_id)
        if not known:
            return []
        scopes = {EVERY_MODEL, model, self._family_scope(account_id, model)}
        now = self._clock.now()
        return [self._shown(window, now) for (scope, _), window in known.items() if scope in scopes]

    def _family_scope(self, account_id: str, model: str) -> str | None:
        snapshot = self._snapshot()
        stored: StoredAccount | None = snapshot.accounts.get(account_id)
        provider = snapshot.providers.get(stored.account.provider_id) if stored else None
        family = provider.family_of(model) if provider else None
        return None if family is None else family_scope(family)

    def _shown(self, window: QuotaWindow, now: float) -> QuotaWindow:
        """Return the window as it is now: one whose end has come is full again."""
        if window.source == "learned":
            used = self._used.get((window.account_id, window.model, window.window))
            return as_learned(window, None if used is None else used.amount, now)
        return _as_told(window, now)

    # --- kept ---

    def take(self, window: QuotaWindow, *, is_saved: bool = False) -> bool:
        """Take a window in unless a later one is known; `is_saved`: it comes from the database."""
        account_id = window.account_id
        if window.window == FORGOTTEN:
            return self._forget_before(account_id, window.updated_at)
        if window.updated_at <= self._forgotten.get(account_id, 0.0):
            return False
        windows = self._known.setdefault(account_id, {})
        key = (window.model, window.window)
        known = windows.get(key)
        if known is not None and known.updated_at >= window.updated_at:
            return False
        if known is None and len(windows) >= _MAX_WINDOWS:
            del windows[min(windows, key=lambda one: windows[one].updated_at)]
        windows[key] = window
        self.rises.note(known, window)
        self._remember((account_id, *key), window, is_saved=is_saved)
        return True

    def _remember(self, key: Key, window: QuotaWindow, *, is_saved: bool) -> None:
        if is_saved:
            self._saved[key] = window
            self._unsaved.pop(key, None)
        elif _differs(self._saved.get(key), window):
            self._unsaved[key] = window

    def counted(self, window: QuotaWindow, amount: int) -> None:
        """Take in what was used of a learned window."""
        key = (window.account_id, window.model, window.window)
        self._used[key] = Used(amount, self._clock.now())

    def forget(self, account_id: str) -> QuotaWindow:
        """Forget all of an account; return the row that lets the other replicas do so."""
        row = QuotaWindow(account_id, EVERY_MODEL, FORGOTTEN, updated_at=self._clock.now())
        self._forget_before(account_id, row.updated_at)
        return row

    def _forget_before(self, account_id: str, at: float) -> bool:
        if at <= self._forgotten.get(account_id, 0.0):
            return False
        self._forgotten[account_id] = at
        known = self._known.get(account_id, {})
        for scope, name in [key for key, one in known.items() if one.updated_at <= at]:
            del known[(scope, name)]
            self._drop((account_id, scope, name))
        return True

    def keep(self, account_ids: Set[str]) -> None:
        """Drop what is known of accounts that are gone."""
        for account_id in self._known.keys() - account_ids:
            for scope, name in self._known.pop(account_id):
                self._drop((account_id, scope, name))
        for gone in (self._read_at.keys() | self._forgotten.keys()) - account_ids:
            self._read_at.pop(gone, None)
            self._forgotten.pop(gone, None)

    def _drop(self, key: Key) -> None:
        for kept in (self._used, self._unsaved, self._saved):
            kept.pop(key, None)
        self.rises.drop(key)

    def unsaved(self, limit: int) -> list[QuotaWindow]:
        """Return what the database shall hear of, those that waited longest first."""
        return [window for _, window in zip(range(limit), self._unsaved.values(), strict=False)]

    def saved(self, windows: Iterable[QuotaWindow]) -> None:
        """The database has these."""
        for window in windows:
            key = (window.account_id, window.model, window.window)
            self._saved[key] = window
            if self._unsaved.get(key) is window:
                del self._unsaved[key]


def _as_told(window: QuotaWindow, now: float) -> QuotaWindow:
    """Return what a provider told as it is now: full again after its end, unknown when it is old
    and had none."""
    if window.resets_at is None:
        lasts_s = _RATE_LASTS_S if is_rate(window) else length_s(window.window) or _LASTS_S
        is_old = now - window.updated_at > lasts_s
        return replace(window, used_ratio=None, remaining=None) if is_old else window
    if window.resets_at > now:
        return window
    return replace(window, used_ratio=0.0, remaining=window.limit, resets_at=None)


def _is_used_up(window: QuotaWindow) -> bool:
    return window.used_ratio is not None and window.used_ratio >= 1.0


def _used_up(window: QuotaWindow, wait_s: float) -> UpstreamError:
    error = UpstreamError(
        f"the quota of {window.model} is used up",
        kind=ErrorKind.QUOTA,
        blame=Blame.ACCOUNT_MODEL,
        retry_after_s=wait_s,
    )
    error.evidence = "model list: nothing left"
    return error


def _differs(saved: QuotaWindow | None, window: QuotaWindow) -> bool:
    """Whether the other replicas would decide otherwise: each answer changes a little."""
    if saved is None or saved.limit != window.limit or saved.samples != window.samples:
        return True
    if (saved.used_ratio is None) is not (window.used_ratio is None):
        return True
    before, after = saved.used_ratio or 0.0, window.used_ratio or 0.0
    if abs(before - after) >= _MIN_STEP or (before >= 1.0) is not (after >= 1.0):
        return True
    shift_s = abs((saved.resets_at or 0.0) - (window.resets_at or 0.0))
    return shift_s > _MIN_SHIFT_S or window.updated_at - saved.updated_at > _MIN_SHIFT_S
