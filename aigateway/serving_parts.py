"""What model calls are served with: the pool and what is known of it, tokens, the executor."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aigateway.ground import USER_AGENT, Ground
from config.settings import Settings
from dialects import DIALECTS
from models.account import AuthType, Strategy
from models.errors import UpstreamError
from providers.base import Route
from services.account_calls import AccountCalls
from services.affinity import Affinity
from services.answers import Answers, Limits
from services.attempts import Attempts
from services.background import Background
from services.bindings import Bindings
from services.breaker import Breaker, Thresholds
from services.budget import RetryBudget
from services.cooldown import Attempted
from services.discovery import Discoveries, open_discoveries
from services.executor import Executor, Fallbacks
from services.explain import Explain
from services.pool import Pool
from services.quotas import Quotas
from services.refresh import TokenTimes
from services.tokens import Tokens, open_tokens
from services.ways_out import WaysOut


@dataclass(frozen=True, slots=True)
class ServingParts:
    """What stands between a request and its provider."""

    quotas: Quotas
    breaker: Breaker
    pool: Pool
    ways: WaysOut
    tokens: Tokens
    calls: AccountCalls
    discoveries: Discoveries


@asynccontextmanager
async def open_serving_parts(ground: Ground) -> AsyncGenerator[ServingParts, None]:
    """Open the parts in this order, and close them in the reverse one."""
    quotas = _quotas(ground)
    pool = _pool(ground, quotas)
    ways = WaysOut(ground.snapshot, pool.egress_of)
    async with AsyncExitStack() as stack:
        tokens = await stack.enter_async_context(_tokens(ground, ways))
        calls = AccountCalls(
            tokens=tokens,
            transport=ground.transport,
            egress_of=pool.egress_of,
            user_agent=USER_AGENT,
        )
        discoveries = await stack.enter_async_context(
            open_discoveries(
                accounts=ground.repositories.accounts,
                changed=ground.snapshots.changed,
                calls=calls,
                clock=ground.clock,
            )
        )
        yield ServingParts(quotas, _breaker(ground), pool, ways, tokens, calls, discoveries)


def make_executor(ground: Ground, parts: ServingParts, affinity: Affinity) -> Executor:
    """Return what serves model calls."""
    settings, limits = ground.settings, _limits(ground.settings)
    retry, answers = settings.retry, Answers(ground.clock, limits)
    attempts = Attempts(
        pool=parts.pool,
        tokens=parts.tokens,
        discoveries=parts.discoveries,
        transport=ground.transport,
        breaker=parts.breaker,
        quotas=parts.quotas,
        answers=answers,
        clock=ground.clock,
        limits=limits,
        user_agent=USER_AGENT,
    )
    return Executor(
        snapshot=ground.snapshot,
        pool=parts.pool,
        affinity=affinity,
        attempts=attempts,
        answers=answers,
        budget=RetryBudget(
            ground.clock, ratio=retry.budget_ratio, min_per_s=retry.budget_min_per_s
        ),
        dialects=DIALECTS,
        clock=ground.clock,
        limits=limits,
        fallbacks=Fallbacks(
            settings.routing.fallbacks, is_race=settings.routing.fallback_mode == "race"
        ),
        asks_stream_usage=settings.stats.request_stream_usage,
    )


def make_affinity(ground: Ground, pool: Pool, background: Background) -> Affinity:
    """Return what knows where conversations live."""
    chosen = ground.settings.affinity
    return Affinity(
        Bindings(ground.shared, background, ground.clock, ttl_s=chosen.ttl_s),
        pool.away_until,
        pool.count_early,
        lambda: ground.snapshot().accounts,
        ground.clock,
        salt=ground.vault.subkey("affinity.id"),
        ttl_s=chosen.ttl_s,
        is_enabled=chosen.enabled,
    )


def make_explain(ground: Ground, pool: Pool, affinity: Affinity) -> Explain:
    """Return what tells where a request would go."""
    settings = ground.settings
    return Explain(
        snapshot=ground.snapshot,
        pool=pool,
        affinity=affinity,
        shared=ground.shared,
        dialects=DIALECTS,
        clock=ground.clock,
        fallbacks=settings.routing.fallbacks,
        is_race=settings.routing.fallback_mode == "race",
        hedge_after_s=settings.retry.hedge_after_s,
    )


# --- the parts, with their settings ---


def _quotas(ground: Ground) -> Quotas:
    cooldowns = ground.resting.cooldowns

    def bench(account_id: str, route: Route, error: UpstreamError) -> None:
        cooldowns.failed(Attempted(account_id, AuthType.API_KEY, None, route), error)

    return Quotas(ground.snapshot, cooldowns.release, bench, ground.clock)


def _pool(ground: Ground, quotas: Quotas) -> Pool:
    return Pool(
        ground.snapshot,
        ground.shared,
        ground.resting.cooldowns,
        ground.clock,
        strategy=Strategy(ground.settings.routing.strategy),
        resets_at=quotas.resets_at,
        used_ratio=quotas.used_ratio,
    )


def _breaker(ground: Ground) -> Breaker:
    chosen = ground.settings.breaker
    return Breaker(
        ground.resting.cooldowns,
        ground.clock,
        Thresholds(
            failures=chosen.failures,
            ratio=chosen.ratio,
            window_s=chosen.window_s,
            pause_s=chosen.pause_s,
            longest_pause_s=chosen.longest_pause_s,
        ),
    )


def _tokens(ground: Ground, ways: WaysOut) -> AbstractAsyncContextManager[Tokens]:
    chosen = ground.settings.tokens
    return open_tokens(
        accounts=ground.repositories.accounts,
        shared=ground.shared,
        transport=ground.transport,
        vault=ground.vault,
        journal_dir=ground.settings.data_dir / "journal",
        egress_of=ways.of_account,
        clock=ground.clock,
        user_agent=USER_AGENT,
        times=TokenTimes(
            leeway_s=chosen.refresh_leeway_s,
            lease_s=chosen.lease_s,
            takeover_grace_s=chosen.takeover_grace_s,
            wait_s=chosen.wait_s,
            http_timeout_s=chosen.http_timeout_s,
            concurrency=chosen.refresh_concurrency,
        ),
        tell=ground.events.tell,
    )


def _limits(settings: Settings) -> Limits:
    retry = settings.retry
    return Limits(
        max_attempts=retry.max_attempts,
        max_refusals=retry.max_refusals,
        first_byte_timeout_s=retry.first_byte_timeout_s,
        attempt_timeout_s=retry.attempt_timeout_s,
        stream_attempt_timeout_s=retry.stream_attempt_timeout_s,
        max_wait_s=retry.max_wait_s,
        home_wait_s=settings.affinity.full_wait_s,
        hedge_after_s=retry.hedge_after_s,
        idle_timeout_s=retry.idle_timeout_s,
        ping_after_s=retry.ping_after_s,
        max_response_bytes=retry.max_response_bytes,
    )
