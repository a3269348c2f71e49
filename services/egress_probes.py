"""Probes of outbound proxies: each is asked from time to time whether it still leads out.

The operator names the targets; without one there are no probes. A proxy is counted as failed only
where it is to blame itself (`services/reach.py`), so a target that is away harms nobody. One that
leads out ends its quarantine, before any request has to try.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal

from models.egress import EgressProxy
from models.errors import Blame, Conflict, GatewayError, TimedOut, UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Clock, Transport, UpstreamResponse
from repositories.base import EgressCheck, EgressRepository
from services.egress_conditions import EgressConditions
from services.exit_facts import LIMIT_BYTES, NO_EXIT, ExitFacts, read_exit

logger = logging.getLogger(__name__)

ROUND_S: Final = 30.0
"""How often it is looked who is due."""

_JITTER: Final = 0.2
_ERROR_CHARS: Final = 255
_CLIENT_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What is asked, how often, and how long it may take."""

    urls: tuple[str, ...]
    """Tried in turn, until one answers."""
    interval_s: float
    timeout_s: float
    concurrency: int
    user_agent: str

    @property
    def round_s(self) -> float:
        """How often it is looked who is due."""
        return min(ROUND_S, self.interval_s)


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a probe."""

    at: float
    """Epoch seconds UTC."""
    error: UpstreamError | None = None
    latency_ms: float | None = None
    """Until the head of the answer, the connection included."""
    exit: ExitFacts = NO_EXIT

    @property
    def fault(self) -> Literal["proxy", "target"] | None:
        """Who failed: `proxy` or `target`; None when it went well."""
        if self.error is None:
            return None
        return "proxy" if self.error.blame is Blame.EGRESS else "target"

    @property
    def reason(self) -> str | None:
        """Who failed and how, in a few words without secrets."""
        if self.error is None:
            return None
        return f"{self.fault}: {self.error.evidence or self.error.message}"[:_ERROR_CHARS]


class EgressProbes:
    """Asks targets through proxies, over connections that nobody else uses."""

    def __init__(
        self,
        egress: EgressRepository,
        proxies: Callable[[], Mapping[str, EgressProxy]],
        conditions: EgressConditions,
        open_way: Callable[[], AbstractAsyncContextManager[Transport]],
        clock: Clock,
        plan: ProbePlan,
    ) -> None:
        """`open_way` gives a transport without open connections: what is kept open says nothing
        of a proxy that has died since."""
        self._egress = egress
        self._proxies = proxies
        self._conditions = conditions
        self._open_way = open_way
        self._clock = clock
        self._plan = plan

    @property
    def round_s(self) -> float:
        """How often `round` is to be called."""
        return self._plan.round_s

    async def round(self) -> None:
        """Probe those that are due, the longest unprobed first, some at once.

        What is not begun within the round is left to the next, which another replica may do.
        """
        if not self._plan.urls:
            return
        round_s = self._plan.round_s
        ends_at = self._clock.monotonic() + max(round_s - self._plan.timeout_s, round_s / 2)
        due = iter(self._due(await self._egress.checked()))
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._plan.concurrency):
                tasks.create_task(self._work(due, ends_at), name=f"egress.probe.{number}")

    async def probe(self, proxy: EgressProxy) -> Probed:
        """Probe one proxy now, and keep what came of it. Raises Conflict without a target."""
        if not self._plan.urls:
            raise Conflict("there is nothing to probe with: set egress.probe_urls")
        found = await self._ask(proxy)
        if found.error is None:
            self._conditions.succeeded(proxy.id, since=found.at)
        elif found.error.blame is Blame.EGRESS:
            self._conditions.failed(proxy.id, found.error)
        logger.debug("proxy probed", extra={"proxy": proxy.id, "error": found.reason})
        await self._egress.store_check(
            proxy.id,
            EgressCheck(
                found.at, found.reason, found.latency_ms, found.exit.address, found.exit.country
            ),
        )
        return found

    # --- who is due ---

    def _due(self, checked: Mapping[str, float | None]) -> list[EgressProxy]:
        proxies, now = self._proxies(), self._clock.now()
        known = ((proxies.get(proxy_id), at or 0.0) for proxy_id, at in checked.items())
        due = [(at, proxy) for proxy, at in known if proxy is not None]
        due = [(at, proxy) for at, proxy in due if self._is_due(proxy.id, at, now)]
        return [proxy for _, proxy in sorted(due, key=lambda entry: entry[0])]

    def _is_due(self, proxy_id: str, checked_at: float, now: float) -> bool:
        rest = self._conditions.rest(proxy_id)
        if rest is not None:
            return rest.opens_at <= now
        # Spread, and the same for every replica: chance would let each draw again.
        chance = zlib.crc32(f"{proxy_id}:{checked_at}".encode()) / 2**32
        wait_s = self._plan.interval_s * (1 - _JITTER + 2 * _JITTER * chance)
        if self._conditions.of(proxy_id).failures:
            wait_s = min(wait_s, self._plan.round_s)
        return abs(now - checked_at) >= wait_s

    async def _work(self, due: Iterator[EgressProxy], ends_at: float) -> None:
        for proxy in due:
            if await self._may_try(proxy.id):
                try:
                    await self.probe(proxy)
                except GatewayError as error:  # the database is away; the next round begins anew
                    logger.info("probe not kept", extra={"proxy": proxy.id, "error": error.message})
            if self._clock.monotonic() >= ends_at:
                return

    async def _may_try(self, proxy_id: str) -> bool:
        """Whether nobody else tries a proxy whose quarantine is over."""
        rest = self._conditions.rest(proxy_id)
        return rest is None or await self._conditions.claim_trial(rest)

    # --- asking ---

    async def _ask(self, proxy: EgressProxy) -> Probed:
        at, found = self._clock.now(), Probed(self._clock.now())
        for url in self._plan.urls:
            found = await self._ask_one(url, proxy, at)
            if found.fault != "target":
                break
        return found

    async def _ask_one(self, url: str, proxy: EgressProxy, at: float) -> Probed:
        began, plan = self._clock.monotonic(), self._plan
        headers = {"user-agent": plan.user_agent, "accept": "*/*", "accept-encoding": "identity"}
        try:
            async with asyncio.timeout(plan.timeout_s), self._open_way() as way:
                request = UpstreamRequest("GET", url, headers, b"")
                response = await way.send(request, proxy, first_byte_timeout_s=plan.timeout_s)
                latency_ms = (self._clock.monotonic() - began) * 1000
                try:
                    _check(response, url)
                    return Probed(at, None, latency_ms, await _exit(response))
                finally:
                    response.close()
        except UpstreamError as error:
            return Probed(at, error)
        except TimeoutError:
            return Probed(at, TimedOut("the probe took too long"))


def _check(response: UpstreamResponse, url: str) -> None:
    """Raise UpstreamError unless the target itself answered: without TLS, a refusal may be the
    proxy's own word."""
    if not url.startswith("https:") and response.status >= _CLIENT_ERROR:
        raise UpstreamError(f"the target answered {response.status}", blame=Blame.PROVIDER)


async def _exit(response: UpstreamResponse) -> ExitFacts:
    """Return what the target tells. That it answered at all is what the probe is for."""
    try:
        body = await response.read(LIMIT_BYTES)
    except UpstreamError:
        return NO_EXIT
    return read_exit(body) if response.status < _CLIENT_ERROR else NO_EXIT
