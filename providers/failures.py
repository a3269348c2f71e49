"""How a provider's failure reads: whom to blame, whether another account may serve."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from dialects.base import Dialect, ErrorFacts
from dialects.fields import parse_lenient
from dialects.scrub import scrubbed
from models.errors import Blame, ErrorKind, UpstreamError
from providers.waits import retry_after_s

Diagnose: TypeAlias = Callable[[Dialect, int, Mapping[str, str], bytes], UpstreamError]
"""(dialect that was spoken, status, headers, body) -> the error. Never raises."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An unwelcome answer, read as far as its format allows."""

    status: int
    headers: Mapping[str, str]
    """Lower-cased names."""
    body: bytes
    facts: ErrorFacts | None
    is_page: bool
    """The body is HTML: a machine on the way speaks, not the provider's API."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means for the account, for a retry and for the client."""

    kind: ErrorKind
    blame: Blame
    retryable: bool
    status: int | None = None
    """Status for the client; None keeps the provider's."""
    wait_s: float | None = None
    """Pause that this very failure calls for when the provider names none."""


_VERDICTS: Final[Mapping[ErrorKind, Verdict]] = {
    verdict.kind: verdict
    for verdict in (
        Verdict(ErrorKind.INVALID_REQUEST, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.CONTEXT_LENGTH, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.UNSUPPORTED, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.CONTENT_POLICY, Blame.REQUEST, retryable=False),
        # Who made the signatures may accept them.
        Verdict(ErrorKind.SIGNATURE, Blame.REQUEST, retryable=True),
        Verdict(ErrorKind.TOO_LARGE, Blame.REQUEST, retryable=False, status=413),
        Verdict(ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT, retryable=True, status=502),
        Verdict(ErrorKind.BILLING, Blame.ACCOUNT, retryable=True, status=402),
        # A permission often lacks for one model only; other models of the account may do.
        Verdict(ErrorKind.PERMISSION, Blame.ACCOUNT_MODEL, retryable=True, status=502),
        Verdict(ErrorKind.NOT_FOUND, Blame.ACCOUNT_MODEL, retryable=True, status=404),
        Verdict(ErrorKind.MODEL_NOT_FOUND, Blame.ACCOUNT_MODEL, retryable=True, status=404),
        Verdict(ErrorKind.RESPONSE_NOT_FOUND, Blame.REQUEST, retryable=False, status=400),
        Verdict(ErrorKind.CONFLICT, Blame.ACCOUNT_MODEL, retryable=True, status=409),
        Verdict(ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, retryable=True, status=429),
        Verdict(ErrorKind.QUOTA, Blame.ACCOUNT, retryable=True, status=429),
        # Shared fate: the next account meets the same overloaded machines.
        Verdict(ErrorKind.OVERLOADED, Blame.PROVIDER, retryable=True, status=503),
        Verdict(ErrorKind.TIMEOUT, Blame.ACCOUNT_MODEL, retryable=True, status=504),
        Verdict(ErrorKind.EGRESS, Blame.EGRESS, retryable=True, status=502),
        Verdict(ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, retryable=True, status=502),
    )
}

_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: ErrorKind.UPSTREAM_AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    407: ErrorKind.EGRESS,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}

# Types such as `api_error` or `invalid_request_error` stand beside every status: where the
# status says more, it wins.
_GENERIC: Final = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.UPSTREAM})

# What these say is true of the account whatever status and type they come with.
_ACCOUNT_TEXTS: Final[tuple[tuple[str, ErrorKind], ...]] = (
    ("credit balance is too low", ErrorKind.BILLING),
    ("enforced_spend_limit_reached", ErrorKind.BILLING),
    ("insufficient_quota", ErrorKind.BILLING),
    ("credit_balance_exhausted", ErrorKind.BILLING),
    ("organization has been disabled", ErrorKind.PERMISSION),
    ("account has been disabled", ErrorKind.PERMISSION),
    ("account_deactivated", ErrorKind.PERMISSION),
    ("identity verification", ErrorKind.PERMISSION),
)

# What providers say of signatures in the history: made by somebody else, spoilt on their way, or
# missing, where another model began the loop of tools.
_SIGNATURE_TEXTS: Final = (
    "invalid_encrypted_content",
    "invalid `signature` in `thinking`",
    "invalid `data` in `redacted_thinking`",
    "expected `thinking` or `redacted_thinking`",
    "blocks in the latest assistant message cannot be modified",
    "missing a thought_signature",
    "corrupted thought signature",
    "invalid thought signature",
    "thought signature is not valid",
)

_CHALLENGES: Final = (b"/cdn-cgi/challenge-platform", b"cf-chl", b"Just a moment...", b"captcha")
_PROXY_HEADERS: Final = ("cf-mitigated", "proxy-authenticate", "proxy-status", "x-squid-error")


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what an answer of status 400 and above, or an error in a 200, means. Never raises."""
    failure = read_failure(dialect, status, headers, body)
    return judged(failure, verdict_of(failure))


def stream_error(diagnose_body: Diagnose, dialect: Dialect, error: UpstreamError) -> UpstreamError:
    """Diagnose an error that a decoder or sniffer found inside a stream of status 200.

    What the provider sent is in `upstream_body`; without it the error stays as it is.
    """
    if not error.upstream_body:
        return error
    return diagnose_body(dialect, 200, {}, error.upstream_body)


def read_failure(dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an unwelcome answer."""
    lowered = {name.lower(): value for name, value in headers.items()}
    payload = parse_lenient(body)
    facts = dialect.read_error(payload) if payload is not None else None
    return Failure(status, lowered, body, facts, facts is None and _is_page(lowered, body))


def verdict_of(failure: Failure) -> Verdict:
    """Judge by what the body names, else by the status."""
    if _is_egress(failure):
        return _VERDICTS[ErrorKind.EGRESS]
    facts, kind = failure.facts, _kind(failure)
    if facts is None:
        return verdict_for(kind)
    told = f"{facts.code or ''} {facts.message}".lower()
    for text, told_kind in _ACCOUNT_TEXTS:
        if text in told:
            return replace(_VERDICTS[told_kind], blame=Blame.ACCOUNT)
    if kind is ErrorKind.INVALID_REQUEST and any(text in told for text in _SIGNATURE_TEXTS):
        kind = ErrorKind.SIGNATURE
    return verdict_for(kind)


def verdict_for(kind: ErrorKind) -> Verdict:
    """Return the usual verdict for a kind."""
    return _VERDICTS.get(kind, _VERDICTS[ErrorKind.UPSTREAM])


def judged(failure: Failure, verdict: Verdict) -> UpstreamError:
    """Build the error that a verdict on a failure calls for."""
    waits = retry_after_s(failure.headers)
    facts = failure.facts
    return UpstreamError(
        _message(failure, verdict),
        kind=verdict.kind,
        blame=verdict.blame,
        retryable=verdict.retryable,
        status=_client_status(failure, verdict),
        retry_after_s=verdict.wait_s if waits is None else waits,
        upstream_status=failure.status,
        upstream_body=failure.body,
        path=facts.param if facts else None,
        vendor_code=facts.code if facts else None,
    )


def _kind(failure: Failure) -> ErrorKind:
    status = failure.status
    named = failure.facts.kind if failure.facts else None
    if named is not None and named not in _GENERIC:
        return _as_upstream(named)
    if status in _BY_STATUS:
        by_status = _BY_STATUS[status]
        # An API that answers 404 in its own words speaks of the model; a web server does not.
        is_model = by_status is ErrorKind.NOT_FOUND and failure.facts is not None
        return ErrorKind.MODEL_NOT_FOUND if is_model else by_status
    if 400 <= status < 500:
        return ErrorKind.INVALID_REQUEST
    return named if named is not None and status < 400 else ErrorKind.UPSTREAM


def _as_upstream(kind: ErrorKind) -> ErrorKind:
    match kind:
        case ErrorKind.AUTHENTICATION:
            return ErrorKind.UPSTREAM_AUTH
        case ErrorKind.NOT_FOUND:
            return ErrorKind.MODEL_NOT_FOUND
        case _ if kind in _VERDICTS:
            return kind
        case _:
            return ErrorKind.UPSTREAM


def _client_status(failure: Failure, verdict: Verdict) -> int:
    if verdict.status is not None:
        return verdict.status
    is_plain = 400 <= failure.status < 500 and failure.status not in _BY_STATUS
    return failure.status if is_plain else 400


def _message(failure: Failure, verdict: Verdict) -> str:
    told = failure.facts.message if failure.facts else ""
    text = scrubbed(told, f"the provider answered with status {failure.status}")
    match verdict.kind:
        case ErrorKind.UPSTREAM_AUTH:
            return f"the provider refused the gateway's credential: {text}"
        case ErrorKind.EGRESS:
            return f"the way to the provider is blocked (status {failure.status})"
        case _:
            return text


def _is_egress(failure: Failure) -> bool:
    if failure.status == 407 or any(name in failure.headers for name in _PROXY_HEADERS):
        return failure.facts is None
    if not failure.is_page:
        return False
    return failure.status == 403 or any(mark in failure.body for mark in _CHALLENGES)


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    if "html" in headers.get("content-type", "").lower():
        return True
    start = body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<center"))
