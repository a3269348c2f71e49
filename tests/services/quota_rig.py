"""Limits among fakes: a provider whose headers tell them, a table of windows, a ledger."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.account import StoredAccount
from models.errors import Blame, ErrorKind, StorageUnavailable, UpstreamError
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL, family_scope
from providers.base import Provider, Route
from repositories.base import SharedState, Use
from repositories.shared_memory import MemoryState
from services.quota_learning import Learner
from services.quota_sync import QuotaSync
from services.quotas import Quotas
from tests.builders import make_provider, make_snapshot, make_stored
from tests.fakes.clock import FakeClock

ONE, TWO = f"{1:032x}", f"{2:032x}"
NAMES = {"5h": EVERY_MODEL, "7d-opus": family_scope("opus")}


def read_quota(headers: Mapping[str, str], model: str, now: float) -> Sequence[QuotaWindow]:
    """`5h: 0.4/1800` is a share and the seconds to its reset; other names are the model's."""
    windows = []
    for name, told in headers.items():
        share, _, reset_s = told.partition("/")
        windows.append(
            QuotaWindow(
                "",
                NAMES.get(name, model),
                name,
                float(share),
                unit="requests" if name == "requests" else None,
                resets_at=now + float(reset_s) if reset_s else None,
                updated_at=now,
            )
        )
    return windows


def opus_family(model: str) -> str | None:
    return "opus" if "opus" in model else None


TELLING: Provider = replace(make_provider(), read_quota=read_quota, family_of=opus_family)
SILENT: Provider = make_provider("glm")


@dataclass
class Ledger:
    """The table of windows, and what was asked: (epoch, account, model, tokens)."""

    windows: dict[tuple[str, str, str], QuotaWindow] = field(default_factory=dict)
    asked: list[tuple[float, str, str, int]] = field(default_factory=list)
    is_away: bool = False
    stored: int = 0

    async def all(self) -> list[QuotaWindow]:
        self._check()
        return list(self.windows.values())

    async def updated_since(self, at: float) -> list[QuotaWindow]:
        self._check()
        return [window for window in self.windows.values() if window.updated_at >= at]

    async def store(self, windows: Sequence[QuotaWindow]) -> None:
        self._check()
        for window in windows:
            self.stored += 1
            self.windows[(window.account_id, window.model, window.window)] = window

    async def delete(self, account_id: str) -> None:
        self.windows = {key: one for key, one in self.windows.items() if key[0] != account_id}

    async def delete_orphans(self) -> int:
        return 0

    async def use(
        self, *, since: float, account_id: str | None = None, provider_id: str | None = None
    ) -> list[Use]:
        self._check()
        found: dict[tuple[str, str], Use] = {}
        for at, account, model, tokens in self.asked:
            if at >= since and account_id in (None, account):
                use = found.get((account, model), Use(account, model, 0, 0))
                use = replace(use, requests=use.requests + 1, tokens=use.tokens + tokens)
                found[(account, model)] = use
        return list(found.values())

    def _check(self) -> None:
        if self.is_away:
            raise StorageUnavailable("away")


class Replica:
    """The limits as one process knows them."""

    def __init__(
        self,
        clock: FakeClock | None = None,
        ledger: Ledger | None = None,
        shared: SharedState | None = None,
        accounts: Sequence[StoredAccount] | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.ledger = ledger or Ledger()
        self.shared = shared or MemoryState(self.clock)
        if accounts is None:
            accounts = [make_stored(1), make_stored(2)]
        self.snapshot = make_snapshot(accounts, (), [TELLING, SILENT])
        self.released: list[tuple[str, str, str]] = []
        self.benched: list[tuple[str, str, float | None]] = []
        self.quotas = Quotas(lambda: self.snapshot, self._release, self._bench, self.clock)
        self.learner = Learner(self.quotas, self.ledger, self.shared, self.clock)
        self.sync = QuotaSync(self.quotas, self.learner, self.ledger, self.clock)

    def _release(
        self,
        subject: str,
        scope: str,
        evidence: str,
        *,
        reasons: Collection[ErrorKind] | None = None,
    ) -> bool:
        assert set(reasons or ()) == {ErrorKind.RATE_LIMIT, ErrorKind.QUOTA}
        self.released.append((subject, scope, evidence))
        return True

    def _bench(self, account_id: str, route: Route, error: UpstreamError) -> None:
        assert (error.kind, error.blame) == (ErrorKind.QUOTA, Blame.ACCOUNT_MODEL)
        self.benched.append((account_id, route.model, error.retry_after_s))

    def saw(self, headers: Mapping[str, str], model: str = "gpt-x", *, status: int = 200) -> None:
        """An answer to account 1, a second after whatever was before."""
        self.clock.advance(1)
        self.quotas.saw(ONE, Route(TELLING, model), status, headers)

    def shown(self, account_id: str = ONE) -> dict[tuple[str, str], float | None]:
        windows = self.quotas.windows(account_id)
        return {(one.model, one.window): one.used_ratio for one in windows}
