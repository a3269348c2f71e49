"""How well each outbound proxy is: what requests and probes found, and since when nobody uses it.

The rests and strikes of proxies are those of `services/cooldown.py`, like everybody's; here they
are read as a proxy's health. Rests are the same on every replica, strikes are this process's own.
"""

from collections.abc import Callable, Mapping
from typing import Final, cast

from models.account import AuthType
from models.egress import EgressCondition, EgressHealth, EgressProxy
from models.errors import UpstreamError
from models.ports import Clock
from models.rest import EVERY_MODEL, Rest
from providers.base import Route
from services.cooldown import Attempted, Cooldowns

_EVERYTHING: Final = (EVERY_MODEL,)
_NOBODY: Final = ""
"""The account of a probe."""


class EgressConditions:
    """The health of the proxies of the snapshot."""

    def __init__(
        self,
        cooldowns: Cooldowns,
        proxies: Callable[[], Mapping[str, EgressProxy]],
        clock: Clock,
    ) -> None:
        self._cooldowns = cooldowns
        self._proxies = proxies
        self._clock = clock
        self._since: dict[str, float] = {}
        cooldowns.listeners.append(self._heard)

    def of(self, proxy_id: str) -> EgressCondition:
        """Return how well a proxy is now."""
        now, rest = self._clock.now(), self.rest(proxy_id)
        failures = self._cooldowns.strikes(proxy_id, _EVERYTHING)
        if rest is not None and rest.opens_at > now:
            return EgressCondition(
                EgressHealth.QUARANTINED, rest.until, max(failures, rest.strikes)
            )
        if rest is not None or failures:
            return EgressCondition(EgressHealth.SUSPECT, None, failures)
        return EgressCondition()

    def rest(self, proxy_id: str) -> Rest | None:
        """Return the quarantine of a proxy, in force or half-open."""
        return self._cooldowns.found(proxy_id, _EVERYTHING, self._clock.now())

    def unwell(self) -> list[str]:
        """Return the proxies that are in quarantine, or were and have not served since."""
        known = self._proxies()
        active = self._cooldowns.active(self._clock.now())
        return [rest.subject for rest in active if rest.subject in known]

    def unwell_since(self, proxy_id: str) -> float | None:
        """Return when the first began of the quarantines that followed one another until now, as
        far as this process knows; None for a proxy that is in none."""
        rest = self.rest(proxy_id)
        return (
            None if rest is None else min(self._since.get(proxy_id, rest.began_at), rest.began_at)
        )

    async def claim_trial(self, rest: Rest) -> bool:
        """True for one caller at a time, who may try a proxy whose quarantine is over."""
        return await self._cooldowns.claim_trial(rest)

    def failed(self, proxy_id: str, error: UpstreamError) -> None:
        """Count a probe that failed by the proxy's fault."""
        # What was asked of whom matters only where an account is to blame.
        nothing = cast(Route, None)
        self._cooldowns.failed(Attempted(_NOBODY, AuthType.API_KEY, proxy_id, nothing), error)

    def succeeded(self, proxy_id: str, *, since: float) -> None:
        """Count a probe that went well: it ends a quarantine that began before."""
        self._cooldowns.succeeded(_NOBODY, proxy_id, (), since=since)

    def anew(self, proxy_id: str) -> None:
        """It has another address: what was found of the old one counts no more."""
        self._cooldowns.release(proxy_id, EVERY_MODEL, "its address was changed")

    def _heard(self, subject: str) -> None:
        if subject not in self._proxies():
            return
        rest = self.rest(subject)
        if rest is None:
            self._since.pop(subject, None)
        else:
            self._since.setdefault(subject, rest.began_at)
