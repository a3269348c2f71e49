"""OpenAI: `api.openai.com`, the Chat format."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialects.base import Dialect
from dialects.foreign import IN_CHAT, IN_RESPONSES, Foreign
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from dialects.openai_embeddings import EMBEDDINGS
from dialects.openai_responses import RESPONSES, RESPONSES_COUNT
from models.chat import Effort
from models.errors import ErrorKind, UpstreamError
from models.profile import Profile, remembered
from providers import failures, signing
from providers import openai_limits as limits
from providers.base import Offer, Provider
from providers.failures import Failure
from providers.verdicts import Verdict
from providers.waits import MAX_WAIT_S, seconds_until

_MAX_STOPS: Final = 4
_MAX_EPOCH: Final = 1e12

_GPT: Final = re.compile(r"(?:^|[:/])gpt-(\d+)(?:\.(\d+))?([a-z]*)(-[a-z0-9.-]*)?")
_O_SERIES: Final = re.compile(r"(?:^|[:/])o(\d+)(?:-|$)")
_CODEX: Final = re.compile(r"(?:^|[:/])codex-")
_CHATGPT: Final = re.compile(r"(?:^|[:/])chatgpt-")

_SMALL_CAPS: Final[tuple[tuple[str, int], ...]] = (
    ("gpt-4.1", 32_768),
    ("gpt-4.5", 16_384),
    ("gpt-4o", 16_384),
    ("chatgpt-4o", 16_384),
    ("gpt-4-turbo", 4_096),
    ("gpt-4-1106", 4_096),
    ("gpt-4-0125", 4_096),
    ("gpt-4", 8_192),
    ("gpt-3.5", 4_096),
)


@remembered
def profile(model: str) -> Profile:
    """Return the facts about an OpenAI model; an unknown name gets no reasoning knobs."""
    name = model.lower()
    efforts = _efforts(name)
    if efforts is None:
        return Profile(
            model,
            vendor="openai",
            max_output_tokens=_cap(name),
            reasoning=False,
            max_stops=_MAX_STOPS,
        )
    # Reasoning models refuse `stop` and every knob of the sampler.
    return Profile(
        model,
        vendor="openai",
        max_output_tokens=100_000 if _O_SERIES.search(name) else 128_000,
        efforts=efforts,
        sampling=False,
        max_stops=0,
    )


def knows(model: str) -> bool:
    """Say whether the name is one of OpenAI's families, wherever it is served."""
    name = model.lower()
    if "gpt-oss" in name:
        return False
    patterns = (_GPT, _O_SERIES, _CODEX, _CHATGPT)
    return any(pattern.search(name) for pattern in patterns)


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what a failure means; windows of subscriptions rest until they open again."""
    failure = _with_told_headers(failures.read_failure(dialect, status, headers, body))
    verdict = failures.verdict_of(failure)
    if verdict.kind in (ErrorKind.RATE_LIMIT, ErrorKind.QUOTA):
        verdict = _limited(failure, verdict)
    return failures.judged(failure, verdict)


def _offer(dialect: Dialect, foreign: Foreign) -> Offer:
    base_url = "https://api.openai.com/v1"
    return Offer(dialect, base_url, signing.bearer, profile, foreign=foreign)


PROVIDER: Final = Provider(
    id="openai",
    name="OpenAI",
    offers=(
        *_offer(CHAT, IN_CHAT).spoken(COMPLETIONS, EMBEDDINGS),
        *_offer(RESPONSES, IN_RESPONSES).spoken(RESPONSES_COUNT),
    ),
    diagnose=diagnose,
    read_quota=limits.read_quota,
)


def _limited(failure: Failure, verdict: Verdict) -> Verdict:
    now, is_quota = time.time(), verdict.kind is ErrorKind.QUOTA
    resets_in_s = _resets_in_s(failure) if is_quota else None
    rejected = limits.rejection(failure.headers, resets_in_s, now, is_told=is_quota)
    if rejected is not None:
        return rejected
    return failures.limited(
        verdict, limits.pace(failure.headers, now) or failures.told_wait(failure)
    )


def _resets_in_s(failure: Failure) -> float | None:
    """Return when a window opens again, as a `usage_limit_reached` tells it."""
    seconds, at = failure.error.get("resets_in_seconds"), failure.error.get("resets_at")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
        return float(min(seconds, MAX_WAIT_S))
    if isinstance(at, int | float) and not isinstance(at, bool):
        return seconds_until(min(at, _MAX_EPOCH))
    return None


def _with_told_headers(failure: Failure) -> Failure:
    """Return the failure with the headers that an event inside a stream tells beside it."""
    told = failure.payload.get("headers")
    if not isinstance(told, dict):
        return failure
    texts = {name.lower(): text for name, text in told.items() if isinstance(text, str)}
    return replace(failure, headers={**texts, **failure.headers})


def _efforts(name: str) -> tuple[Effort, ...] | None:
    """Return the efforts a reasoning model takes; None for a model that does not reason."""
    if _O_SERIES.search(name):
        return () if name.startswith(("o1-mini", "o1-preview")) else ("low", "medium", "high")
    if _CODEX.search(name):
        return ("low", "medium", "high")
    found = _GPT.search(name)
    if found is None or int(found[1]) < 5:
        return None
    version, kind = (int(found[1]), int(found[2] or 0)), found[4] or ""
    if "-chat" in kind:
        return None
    return _gpt_efforts(version, kind)


def _gpt_efforts(version: tuple[int, int], kind: str) -> tuple[Effort, ...]:
    if "-pro" in kind and version < (5, 2):
        return ("high",)
    if version >= (5, 2) or "-max" in kind:
        return ("none", "low", "medium", "high", "xhigh")
    if version >= (5, 1):
        return ("none", "low", "medium", "high")
    return ("low", "medium", "high") if "codex" in kind else ("minimal", "low", "medium", "high")


def _cap(name: str) -> int | None:
    bare = re.split(r"[:/]", name.removeprefix("ft:"))[0]
    return next((cap for start, cap in _SMALL_CAPS if bare.startswith(start)), None)
