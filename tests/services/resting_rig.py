"""Failures and successes of accounts of one provider, told to the rests as the pool tells them."""

from dataclasses import replace

from models.account import AuthType
from models.errors import Blame, ConnectFailed, ErrorKind, StreamBroken, TimedOut, UpstreamError
from models.rest import Rest
from providers.base import Route
from repositories.base import SharedState
from services.cooldown import Attempted, Cooldowns, scopes_of
from services.pauses import Pauses
from tests.builders import make_provider
from tests.fakes.clock import FakeClock

PROVIDER = replace(make_provider(), family_of=lambda model: "opus" if "opus" in model else None)


class Desk:
    """One replica's rests, and what happens to its requests."""

    def __init__(
        self,
        clock: FakeClock | None = None,
        shared: SharedState | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.cooldowns = Cooldowns(
            pauses or Pauses(),
            self.clock,
            shared,
            provider_of=lambda subject: PROVIDER.id if subject.startswith("acc") else None,
            chance=lambda: 0.5,
        )

    def failed(
        self,
        error: UpstreamError,
        account_id: str = "acc-1",
        *,
        model: str = "m",
        proxy_id: str | None = None,
        auth_type: AuthType = AuthType.API_KEY,
        peers: int = 10,
    ) -> Rest | None:
        route = Route(PROVIDER, model)
        return self.cooldowns.failed(
            Attempted(account_id, auth_type, proxy_id, route, peers), error
        )

    def succeeded(
        self,
        account_id: str = "acc-1",
        *,
        model: str = "m",
        proxy_id: str | None = None,
        since: float | None = None,
        times: int = 1,
    ) -> None:
        scopes = scopes_of(Route(PROVIDER, model))
        for _ in range(times):
            self.cooldowns.succeeded(account_id, proxy_id, scopes, since=since)

    def rest(self, account_id: str = "acc-1", model: str = "m") -> Rest | None:
        """The rest of an account, in force or half-open."""
        scopes = scopes_of(Route(PROVIDER, model))
        return self.cooldowns.found(account_id, scopes, self.clock.now())

    def is_benched(self, account_id: str = "acc-1", model: str = "m") -> bool:
        """Whether nobody may ask it now."""
        rest = self.rest(account_id, model)
        return rest is not None and rest.opens_at > self.clock.now()

    def lasts_s(self, rest: Rest | None) -> float | None:
        """How long a rest lasts from now on."""
        return None if rest is None else round(rest.until - self.clock.now(), 3)


def limited(
    *, retry_after_s: float | None = None, blame: Blame = Blame.ACCOUNT_MODEL
) -> UpstreamError:
    return UpstreamError(
        "slow down", kind=ErrorKind.RATE_LIMIT, retry_after_s=retry_after_s, blame=blame
    )


def used_up(
    pause_s: float, *, blame: Blame = Blame.ACCOUNT, family: str | None = None
) -> UpstreamError:
    """A window that is rejected until it opens again."""
    error = UpstreamError("used up", kind=ErrorKind.QUOTA, blame=blame)
    error.pause_s, error.family, error.evidence = pause_s, family, "5h window rejected"
    return error


def overloaded(*, retry_after_s: float | None = None) -> UpstreamError:
    return UpstreamError(
        "overloaded", kind=ErrorKind.OVERLOADED, blame=Blame.PROVIDER, retry_after_s=retry_after_s
    )


def broken() -> UpstreamError:
    return UpstreamError("internal error", kind=ErrorKind.UPSTREAM, upstream_status=500)


def silent() -> UpstreamError:
    return TimedOut("too slow")


def cut() -> UpstreamError:
    return StreamBroken("the answer broke off")


def rejected() -> UpstreamError:
    return UpstreamError("no", kind=ErrorKind.UPSTREAM_AUTH, blame=Blame.ACCOUNT)


def forbidden() -> UpstreamError:
    return UpstreamError("not you", kind=ErrorKind.PERMISSION, upstream_status=403)


def unpaid() -> UpstreamError:
    return UpstreamError("no credit", kind=ErrorKind.BILLING, blame=Blame.ACCOUNT)


def missing() -> UpstreamError:
    return UpstreamError("no such model", kind=ErrorKind.MODEL_NOT_FOUND)


def unreachable() -> UpstreamError:
    return ConnectFailed("the proxy is dead", blame=Blame.EGRESS)


def disabled() -> UpstreamError:
    error = UpstreamError("organisation disabled", kind=ErrorKind.PERMISSION, blame=Blame.ACCOUNT)
    error.needs_operator = True
    return error
