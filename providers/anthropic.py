"""Anthropic: `api.anthropic.com`, the Messages format."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialects.anthropic import MESSAGES, MESSAGES_COUNT
from dialects.base import Dialect
from dialects.foreign import IN_MESSAGES
from models.chat import Effort
from models.errors import ErrorKind, UpstreamError
from models.profile import Profile, remembered
from providers import anthropic_limits as limits
from providers import failures, signing
from providers.base import Offer, Provider
from providers.failures import Failure
from providers.verdicts import Verdict
from providers.waits import moment_in, seconds_until

API_VERSION: Final = "2023-06-01"

# claude-sonnet-4-5-20250929, claude-opus-4.1, claude-3-5-haiku-latest, claude-2.1
_NEW_NAME: Final = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?![\d])")
_OLD_NAME: Final = re.compile(r"claude-(\d)(?:[-.](\d{1,2}))?(?:-([a-z]+))?(?![\d])")
_NEWEST: Final = (99, 0)
_REGAINED: Final = re.compile(r"regain access on (\d{4}-\d{2}-\d{2}) at (\d{2}:\d{2}) utc")


@remembered
def profile(model: str) -> Profile:
    """Return the facts about a Claude model. An unknown name is taken for a new model."""
    family, version = _family(model.lower())
    return Profile(
        model,
        vendor="anthropic",
        max_output_tokens=_max_output_tokens(family, version),
        # Every model of the last years can do it, and 4096 cuts a coding agent off.
        default_max_tokens=32_000,
        reasoning=version >= (3, 7),
        efforts=_efforts(family, version),
        thinking=_thinking(version),
        can_disable_thinking=family not in ("fable", "mythos"),
        sampling=version < (4, 7),
        prefill=version < (4, 6),
        # Known of Opus 4.8 and most of 5; elsewhere system text goes into the user's turn.
        system_in_messages=family == "opus" and (4, 8) <= version < _NEWEST,
        structured_output=version >= (4, 5),
    )


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what a failure means; windows of subscriptions rest until they open again."""
    failure = failures.read_failure(dialect, status, headers, body)
    verdict = failures.verdict_of(failure)
    if verdict.kind is ErrorKind.RATE_LIMIT:
        verdict = _limited(failure, verdict)
    elif verdict.kind is ErrorKind.BILLING:
        verdict = _until_paid(failure, verdict)
    return failures.judged(failure, verdict)


def family_of(model: str) -> str | None:
    """Return the family of a Claude model, whose limits its models share."""
    name = model.lower()
    if "claude" not in name:
        return None
    known = next((family for family in limits.FAMILIES if family in name), None)
    return known or _family(name)[0] or None


PROVIDER: Final = Provider(
    id="anthropic",
    name="Anthropic",
    offers=Offer(
        MESSAGES,
        "https://api.anthropic.com",
        signing.anthropic,
        profile,
        fixed_headers={"anthropic-version": API_VERSION},
        foreign=IN_MESSAGES,
    ).spoken(MESSAGES_COUNT),
    diagnose=diagnose,
    family_of=family_of,
    read_quota=limits.read_quota,
)


def _limited(failure: Failure, verdict: Verdict) -> Verdict:
    now = time.time()
    rejected = limits.rejection(failure.headers, now)
    return rejected or failures.limited(verdict, limits.pace(failure.headers, now))


def _until_paid(failure: Failure, verdict: Verdict) -> Verdict:
    """Read when a limit that the account's owner set begins anew."""
    found = _REGAINED.search(failure.own_words)
    at = None if found is None else moment_in(f"{found[1]} {found[2]}:00Z")
    return verdict if at is None else replace(verdict, pause_s=seconds_until(at))


def _family(model: str) -> tuple[str, tuple[int, int]]:
    found = _NEW_NAME.search(model)
    if found is not None:
        return found[1], (int(found[2]), int(found[3] or 0))
    found = _OLD_NAME.search(model)
    if found is not None:
        return found[3] or "", (int(found[1]), int(found[2] or 0))
    return ("instant", (1, 2)) if "claude-instant" in model else ("", _NEWEST)


def _thinking(version: tuple[int, int]) -> str:
    if version >= (4, 6):
        return "adaptive"
    return "manual" if version >= (3, 7) else "none"


def _efforts(family: str, version: tuple[int, int]) -> tuple[Effort, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if (family, version) == ("opus", (4, 5)) else ()


def _max_output_tokens(family: str, version: tuple[int, int]) -> int | None:
    if version == _NEWEST:
        return None
    if version >= (3, 7):
        return 32_000 if family == "opus" and version < (4, 5) else 64_000
    return 8_192 if version >= (3, 5) else 4_096
