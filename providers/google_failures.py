"""How failures of Google's services read: google.rpc.Status with its details.

The status code is coarse (a wrong key is a 400, every kind of limit a 429); what counts stands in
the `reason` of an ErrorInfo, in the name of the quota that was exceeded, or only in the text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dialects.base import Dialect, ErrorFacts
from dialects.fields import parse_lenient
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from providers import failures
from providers.failures import Failure
from providers.verdicts import LOCKED, NOT_INCLUDED, SHUT, Verdict, used_up, verdict_for
from providers.waits import (
    Wait,
    capped,
    duration_s,
    moment_in,
    seconds_to_pacific_midnight,
    seconds_until,
    wait,
    within,
)

_A_MINUTE: Final = Wait(60.0, "quota per minute")

_AUTH: Final = verdict_for(ErrorKind.UPSTREAM_AUTH)
# The key is known to strangers, and Google has switched it off.
_LEAKED: Final = replace(_AUTH, needs_operator=True)
_BILLING: Final = verdict_for(ErrorKind.BILLING)
_LIMITED: Final = verdict_for(ErrorKind.RATE_LIMIT)
# Google counts each model by itself; other models of the account may do.
_USED_UP: Final = used_up(None, "", Blame.ACCOUNT_MODEL)
# Of the request; another account may have it.
_NO_SUCH_THING: Final = verdict_for(ErrorKind.NOT_FOUND)
_OVERLOADED: Final = verdict_for(ErrorKind.OVERLOADED)

_BY_REASON: Final[Mapping[str, Verdict]] = {
    "API_KEY_INVALID": _AUTH,
    "API_KEY_EXPIRED": _AUTH,
    "ACCESS_TOKEN_EXPIRED": _AUTH,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": _AUTH,
    "ACCOUNT_STATE_INVALID": _AUTH,
    "CREDENTIALS_MISSING": _AUTH,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": SHUT,
    "API_KEY_ANDROID_APP_BLOCKED": LOCKED,
    "API_KEY_HTTP_REFERRER_BLOCKED": LOCKED,
    "API_KEY_IOS_APP_BLOCKED": LOCKED,
    "API_KEY_IP_ADDRESS_BLOCKED": LOCKED,
    "API_KEY_SERVICE_BLOCKED": LOCKED,
    "CONSUMER_INVALID": LOCKED,
    "CONSUMER_SUSPENDED": SHUT,
    "IAM_PERMISSION_DENIED": LOCKED,
    "SECURITY_POLICY_VIOLATED": LOCKED,
    "SERVICE_DISABLED": LOCKED,
    "USER_PROJECT_DENIED": LOCKED,
    "VALIDATION_REQUIRED": SHUT,
    "BILLING_DISABLED": _BILLING,
    "INSUFFICIENT_G1_CREDITS_BALANCE": NOT_INCLUDED,
    "MODEL_CAPACITY_EXCEEDED": _OVERLOADED,
    "MODEL_CAPACITY_EXHAUSTED": _OVERLOADED,
    "QUOTA_EXHAUSTED": _USED_UP,
}
# Where no reason is given. That of the location is a matter of the account's way out.
_BY_TEXT: Final[tuple[tuple[str, Verdict], ...]] = (
    ("api key not valid", _AUTH),
    ("api key expired", _AUTH),
    ("reported as leaked", _LEAKED),
    ("unregistered callers", _AUTH),
    ("user location is not supported", LOCKED),
    ("has been suspended", SHUT),
    ("has not been used in project", LOCKED),
    ("enable billing", _BILLING),
    ("cachedcontent not found", _NO_SUCH_THING),
    ("permission to access the file", _NO_SUCH_THING),
)
_DAILY: Final = ("perday", "daily")
_THING: Final = re.compile(r"\b(?:files/|cached ?content)", re.IGNORECASE)
_NONE_AT_ALL: Final = re.compile(r"\blimit: 0\b")
_IS_SHARED: Final = re.compile(r"perproject(?!.*permodel)")
_ADDRESS: Final = re.compile(r"https?://\S{1,2000}")
_PROJECT: Final = re.compile(r"\bprojects?([ /:=#]{1,3})[a-z0-9][\w:.-]{3,}")


@dataclass(frozen=True, slots=True)
class Details:
    """What the details of a google.rpc.Status say."""

    reason: str = ""
    metadata: JsonObject = field(default_factory=dict)
    delay_s: float | None = None
    """Of a RetryInfo."""
    quotas: str = ""
    """Names of the quotas that were exceeded, in lower case."""
    link: str | None = None
    """Where to go for help; it may be meant for one account only."""


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what a failure of a Google service means. Never raises."""
    return diagnose_families(dialect, status, headers, body, lambda _model: None)


def diagnose_families(
    dialect: Dialect,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    family_of: Callable[[str], str | None],
) -> UpstreamError:
    """Tell what a failure means where models of a family share their quota. Never raises."""
    failure = _read(dialect, status, headers, body)
    details = read_details(_status_of(body))
    verdict = _verdict(failure, details)
    if verdict.kind is ErrorKind.QUOTA and verdict.retryable:
        family = family_of(_text(details.metadata, "model"))
        if family is not None:
            verdict = replace(verdict, blame=Blame.FAMILY, family=family)
    error = failures.judged(_plain(failure, verdict, details), verdict)
    error.remedy = _remedy(verdict, details)
    return error


def read_details(status: JsonObject) -> Details:
    """Read the details of a google.rpc.Status."""
    reason, metadata, delay_s, link = "", dict[str, Json](), None, None
    quotas: list[str] = []
    for kind, detail in _details(status):
        match kind:
            case "ErrorInfo":
                reason = reason or _text(detail, "reason")
                known = detail.get("metadata")
                metadata.update(known if isinstance(known, dict) else {})
            case "RetryInfo":
                delay_s = duration_s(_text(detail, "retryDelay"))
            case "QuotaFailure":
                quotas += [_text(one, "quotaId") for one in _objects(detail, "violations")]
            case "Help" if link is None:
                link = next((_text(one, "url") for one in _objects(detail, "links")), None)
            case _:
                pass
    quotas.append(_text(metadata, "quota_limit"))
    link = link or _text(metadata, "validation_link") or None
    return Details(reason, metadata, delay_s, " ".join(quotas).lower(), link)


# --- judging ----------------------------------------------------------------------------------


def _verdict(failure: Failure, details: Details) -> Verdict:
    if failure.facts is None:
        return failures.verdict_of(failure)
    known = _BY_REASON.get(details.reason)
    if known is not None and known.kind is not ErrorKind.QUOTA:
        return replace(known, wait=_wait(failure, details), evidence=details.reason)
    if known is not None or failure.facts.kind is ErrorKind.RATE_LIMIT or failure.status == 429:
        return _limited(failure, details, known or _LIMITED)
    text = failure.own_words
    for said, verdict in _BY_TEXT:
        if said in text:
            return replace(verdict, evidence=said)
    verdict = failures.verdict_of(failure)
    if verdict.kind is ErrorKind.MODEL_NOT_FOUND and _THING.search(failure.facts.message):
        verdict = _NO_SUCH_THING
    return replace(verdict, wait=_wait(failure, details))


def _limited(failure: Failure, details: Details, known: Verdict) -> Verdict:
    """Tell a limit of pace from a quota that is used up."""
    known = replace(known, blame=_counted_by(details))
    if _NONE_AT_ALL.search(failure.own_words):
        until_s = within("day", seconds_to_pacific_midnight())
        return replace(used_up(until_s, "limit: 0", Blame.ACCOUNT_MODEL), retryable=False)
    if any(word in details.quotas for word in _DAILY):
        # The wait that is told beside a day's quota is the one of the minute's.
        until_s = within("day", seconds_to_pacific_midnight())
        return used_up(until_s, "quota per day", known.blame)
    waits = _wait(failure, details)
    if "perminute" in details.quotas:
        return replace(known, wait=capped("minute", waits or _A_MINUTE))
    if known.kind is ErrorKind.QUOTA:
        pause_s = None if waits is None else waits.seconds
        return used_up(pause_s, details.reason if waits is None else waits.said, known.blame)
    return failures.limited(known, waits)


def _counted_by(details: Details) -> Blame:
    """Return who pays: some quotas are the project's, whatever the model."""
    names = details.quotas.split()
    is_shared = bool(names) and all(_IS_SHARED.search(name) for name in names)
    return Blame.ACCOUNT if is_shared else Blame.ACCOUNT_MODEL


def _wait(failure: Failure, details: Details) -> Wait | None:
    """Return how long the answer asks to wait, from its most exact word to its text."""
    if details.delay_s is not None:
        return wait(details.delay_s, "RetryInfo")
    if (delay_s := duration_s(_text(details.metadata, "quotaResetDelay"))) is not None:
        return wait(delay_s, "quotaResetDelay")
    opens_at = moment_in(_text(details.metadata, "quotaResetTimeStamp"))
    if opens_at is not None:
        return wait(seconds_until(opens_at), "quotaResetTimeStamp in")
    return failures.told_wait(failure)


def _plain(failure: Failure, verdict: Verdict, details: Details) -> Failure:
    """Keep projects and addresses that concern the operator out of what clients are told."""
    facts = failure.facts
    if facts is None:
        return failure
    message = facts.message
    if verdict.blame is Blame.ACCOUNT:
        message = _PROJECT.sub(r"project\1***", _ADDRESS.sub("***", message))
    code = details.reason or facts.code
    return replace(failure, facts=replace(facts, message=message, code=code))


def _remedy(verdict: Verdict, details: Details) -> str | None:
    is_theirs = verdict.blame is Blame.ACCOUNT and details.link
    return f"{details.reason or 'see'}: {details.link}" if is_theirs else None


# --- reading ----------------------------------------------------------------------------------


def _read(dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    failure = failures.read_failure(dialect, status, headers, _unlisted(body))
    inner = _anthropic_error(failure.facts)
    return replace(failure, body=body, facts=inner or failure.facts)


def _unlisted(body: bytes) -> bytes:
    """Return the only element of a list: streams that are JSON arrays put their error in one."""
    start, end = body.find(b"{"), body.rfind(b"}")
    is_listed = body.lstrip().startswith(b"[") and 0 <= start < end
    return body[start : end + 1] if is_listed else body


def _status_of(body: bytes) -> JsonObject:
    error = (parse_lenient(_unlisted(body)) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _anthropic_error(facts: ErrorFacts | None) -> ErrorFacts | None:
    """Return what Anthropic said, where Google passes it on as JSON inside its message."""
    if facts is None:
        return None
    start, end = facts.message.find('{"'), facts.message.rfind("}")
    if not 0 <= start < end:
        return None
    text = facts.message[start : end + 1]
    error = (parse_lenient(text.encode("utf-8", "replace")) or {}).get("error")
    told = _text(error, "message") if isinstance(error, dict) else ""
    if not told:
        return None
    is_long = "prompt is too long" in told.lower()
    return replace(facts, message=told, kind=ErrorKind.CONTEXT_LENGTH if is_long else facts.kind)


def _details(status: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the last part of each detail's type and the detail."""
    for detail in _objects(status, "details"):
        yield _text(detail, "@type").rpartition(".")[2], detail


def _objects(payload: JsonObject, key: str) -> list[JsonObject]:
    value = payload.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(payload: JsonObject, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
