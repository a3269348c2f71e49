"""GLM by Zhipu (BigModel, Z.ai): a variant of the Chat format with rules of its own."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.fields import parse_lenient
from dialects.foreign import IN_MESSAGES
from dialects.openai_chat import CHAT
from dialects.openai_embeddings import EMBEDDINGS
from models.chat import Effort
from models.errors import Blame, ErrorKind, UpstreamError
from models.profile import Profile, remembered
from providers import failures, signing
from providers.anthropic import API_VERSION
from providers.base import Offer, Provider
from providers.failures import Failure
from providers.glm_payload import adapt
from providers.verdicts import LOCKED, SHUT, Verdict, used_up, verdict_for
from providers.waits import Wait, moment_in, seconds_to_beijing_midnight, seconds_until, within

_NAME: Final = re.compile(r"glm-(\d+)(?:\.(\d+))?")
_FULL_CONTEXT: Final = "context window limit"
_CODE_IN_TEXT: Final = re.compile(r"\s{0,8}\[(\d{4})\]")

_REPROBE_S: Final = 300.0
"""How long a used-up window rests when the text does not say when it opens."""
_FAIR_USE_S: Final = 600.0

_AUTH: Final = verdict_for(ErrorKind.UPSTREAM_AUTH)
_SERVER: Final = verdict_for(ErrorKind.UPSTREAM)
_FORBIDDEN: Final = verdict_for(ErrorKind.PERMISSION)
_BILLING: Final = verdict_for(ErrorKind.BILLING)
_INVALID: Final = verdict_for(ErrorKind.INVALID_REQUEST)
_NO_MODEL: Final = verdict_for(ErrorKind.MODEL_NOT_FOUND)
_LIMITED: Final = verdict_for(ErrorKind.RATE_LIMIT)
_OVERLOADED: Final = verdict_for(ErrorKind.OVERLOADED)
# Says that it limits the platform, whoever asks.
_PLATFORM: Final = replace(_OVERLOADED, blame=Blame.PROVIDER)
_QUOTA: Final = verdict_for(ErrorKind.QUOTA)

_BY_CODE: Final[Mapping[str, Verdict]] = {
    "500": _SERVER,
    "1000": _AUTH,
    "1001": _AUTH,
    "1002": _AUTH,
    "1003": _AUTH,
    "1004": _AUTH,
    "1100": _SERVER,
    "1110": SHUT,
    "1111": SHUT,
    "1112": SHUT,
    "1113": _BILLING,
    "1120": LOCKED,
    "1121": SHUT,
    "1200": _SERVER,
    "1210": _INVALID,
    "1211": _NO_MODEL,
    "1212": _INVALID,
    "1213": _INVALID,
    "1214": _INVALID,
    "1215": _INVALID,
    "1220": _FORBIDDEN,
    "1221": _NO_MODEL,
    "1222": _NO_MODEL,
    "1230": _SERVER,
    "1231": verdict_for(ErrorKind.CONFLICT),
    "1234": _SERVER,
    "1261": verdict_for(ErrorKind.CONTEXT_LENGTH),
    "1300": verdict_for(ErrorKind.CONTENT_POLICY),
    "1301": verdict_for(ErrorKind.CONTENT_POLICY),
    "1302": _LIMITED,
    "1303": _LIMITED,
    "1304": _QUOTA,
    "1305": _PLATFORM,
    "1308": _QUOTA,
    "1309": _BILLING,
    "1310": _QUOTA,
    "1311": _FORBIDDEN,
    "1312": _OVERLOADED,
    "1313": replace(_LIMITED, blame=Blame.ACCOUNT, wait=Wait(_FAIR_USE_S, "code 1313")),
    **{str(code): _QUOTA for code in range(1316, 1322)},
}
_BY_STATUS: Final[Mapping[int, Verdict]] = {
    434: _FORBIDDEN,
    435: verdict_for(ErrorKind.TOO_LARGE),
}


@remembered
def profile(model: str) -> Profile:
    """Return the facts about a GLM model. An unknown name is taken for a hybrid one."""
    version = _version(model)
    return Profile(
        model,
        vendor="glm",
        max_output_tokens=_max_output_tokens(version),
        reasoning=version >= (4, 5),
        efforts=_efforts(version),
        thinking="switch" if version >= (4, 5) else "none",
        can_disable_thinking=version < (5, 3),
        structured_output=False,
        max_stops=1,
        legacy_max_tokens=True,
        reasoning_content=True,
    )


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what a failure means, by its code first: the status is coarse, sometimes 200."""
    failure = failures.read_failure(dialect, status, headers, body)
    verdict = _by_code(failure) or _BY_STATUS.get(status) or failures.verdict_of(failure)
    if verdict.kind is ErrorKind.INVALID_REQUEST and _FULL_CONTEXT in _code(failure)[1].lower():
        verdict = verdict_for(ErrorKind.CONTEXT_LENGTH)
    return failures.judged(failure, verdict)


def at_base_url(provider: Provider, base_url: str) -> Provider:
    """Return GLM at another address. The vendor has a base for each of the two formats: where the
    address is one of his for Chat, Messages are spoken at the same machine; elsewhere the address
    speaks one format only."""
    if base_url.endswith(_MESSAGES_PATH):
        return replace(provider, offers=(replace(_MESSAGES, base_url=base_url),))
    offers = [replace(_CHAT, base_url=base_url)]
    for path in _CHAT_PATHS:
        if base_url.endswith(path):
            origin = base_url.removesuffix(path)
            offers.append(replace(_MESSAGES, base_url=origin + _MESSAGES_PATH))
            break
    offers.append(replace(_EMBEDDINGS, base_url=base_url))
    return replace(provider, offers=tuple(offers))


@remembered
def _messages_profile(model: str) -> Profile:
    known = profile(model)
    return replace(known, thinking="manual" if known.reasoning else "none", max_stops=None)


_MESSAGES_PATH: Final = "/api/anthropic"
_CHAT_PATHS: Final = ("/api/coding/paas/v4", "/api/paas/v4")
"""Of the Coding Plan, and of accounts that pay for what they use."""
_CHAT: Final = Offer(
    CHAT,
    "https://open.bigmodel.cn/api/paas/v4",
    signing.bearer,
    profile,
    adapt=adapt,
    reports_stream_usage=True,
)
_MESSAGES: Final = Offer(
    MESSAGES,
    "https://open.bigmodel.cn" + _MESSAGES_PATH,
    signing.bearer,
    _messages_profile,
    fixed_headers={"anthropic-version": API_VERSION},
    foreign=IN_MESSAGES,
)

_EMBEDDINGS: Final = replace(_CHAT, dialect=EMBEDDINGS, adapt=None)

PROVIDER: Final = Provider(
    id="glm", name="GLM", offers=(_CHAT, _MESSAGES, _EMBEDDINGS), diagnose=diagnose
)


def _by_code(failure: Failure) -> Verdict | None:
    code, message = _code(failure)
    verdict = _BY_CODE.get(code)
    if verdict is None or failure.facts is None:
        return None
    if verdict.kind is ErrorKind.INVALID_REQUEST and failure.facts.kind is ErrorKind.CONTEXT_LENGTH:
        verdict = verdict_for(ErrorKind.CONTEXT_LENGTH)
    if verdict.kind is ErrorKind.QUOTA:
        return _used_up(code, message)
    return replace(verdict, evidence="" if verdict.wait else f"code {code}")


def _used_up(code: str, message: str) -> Verdict:
    """Return the verdict on a window; when it opens stands in the text only, if anywhere."""
    window = _window(code, message.lower())
    default_s = seconds_to_beijing_midnight() if window == "day" else _REPROBE_S
    pause_s = within(window, _reset_s(message)) or default_s
    return used_up(pause_s, f"code {code}, {window} window")


def _window(code: str, text: str) -> str:
    if code == "1304":
        return "day"
    return "5h" if "5 hour" in text or "5小时" in text else "7d"


def _code(failure: Failure) -> tuple[str, str]:
    """Return code and text. Behind the Messages endpoint the code stands beside Anthropic's type,
    or in brackets before the text."""
    if failure.facts is None:
        return "", ""
    code, message = failure.facts.code or "", failure.facts.message
    if code.isdigit():
        return code, message
    error = (parse_lenient(failure.body) or {}).get("error")
    beside = error.get("code") if isinstance(error, dict) else None
    found = _CODE_IN_TEXT.match(message)
    return (str(beside) if beside is not None else found[1] if found else code), message


def _reset_s(message: str) -> float | None:
    at = moment_in(message)
    return None if at is None else seconds_until(at)


def _version(model: str) -> tuple[int, int]:
    found = _NAME.search(model.lower())
    if found is None:
        return (4, 6)
    return int(found[1]), int(found[2] or 0)


def _efforts(version: tuple[int, int]) -> tuple[Effort, ...]:
    if version >= (5, 3):
        return ("low", "high", "max")
    if version >= (5, 2):
        return ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    return ()


def _max_output_tokens(version: tuple[int, int]) -> int | None:
    if version >= (4, 6):
        return 131_072
    return 98_304 if version >= (4, 5) else None
