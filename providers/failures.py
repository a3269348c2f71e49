"""How a provider's failure reads: whom to blame, whether another account may serve."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from dialects.base import Dialect, ErrorFacts
from dialects.fields import parse_lenient
from dialects.scrub import scrubbed
from models.errors import ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from providers.pages import sign_of_the_way
from providers.told import own_words, said_of_the_account
from providers.verdicts import Verdict, used_up, verdict_for
from providers.waits import Wait, duration_in, retry_after_s, wait

Diagnose: TypeAlias = Callable[[Dialect, int, Mapping[str, str], bytes], UpstreamError]
"""(dialect that was spoken, status, headers, body) -> the error. Never raises."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An unwelcome answer, read as far as its format allows."""

    status: int
    meant_status: int
    """The status that the body tells, where the answer's own is no error."""
    headers: Mapping[str, str]
    """Lower-cased names."""
    body: bytes
    payload: JsonObject
    """The body as JSON; empty when it is none."""
    facts: ErrorFacts | None

    @property
    def error(self) -> JsonObject:
        """The object that describes the error, wherever the format puts it; empty without one."""
        response = self.payload.get("response")
        for holder in (self.payload, response):
            error = holder.get("error") if isinstance(holder, dict) else None
            if isinstance(error, dict):
                return error
        return {}

    @property
    def own_words(self) -> str:
        """What the provider said without what it may have repeated of the request."""
        return "" if self.facts is None else own_words(self.meant_status, self.facts)


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
    524: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}

# Types such as `api_error` or `invalid_request_error` stand beside every status: where the
# status says more, it wins.
_GENERIC: Final = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.UPSTREAM})

_LONG_LIMIT_S: Final = 300.0
_LIMITS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.QUOTA})

# With 429 it is a limit; otherwise, and inside a 200, an overload.
_SLOW_DOWN: Final = "slow_down"
_AT_CAPACITY: Final = "is at capacity"

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
    meant = status if status >= 400 else _status_told(payload or {}, facts) or status
    return Failure(status, meant, lowered, body, payload or {}, facts)


def verdict_of(failure: Failure) -> Verdict:
    """Judge by what the body names, else by the status."""
    facts = failure.facts
    if facts is None:
        sign = sign_of_the_way(failure.status, failure.headers, failure.body)
        if sign is not None:
            return replace(verdict_for(ErrorKind.EGRESS), evidence=sign)
        return verdict_for(_kind(failure))
    if (said := said_of_the_account(failure.meant_status, facts)) is not None:
        return said
    return verdict_for(_kind_told(failure, facts))


def judged(failure: Failure, verdict: Verdict) -> UpstreamError:
    """Build the error that a verdict on a failure calls for."""
    waits = wait(retry_after_s(failure.headers), "retry-after") or verdict.wait
    facts = failure.facts
    error = UpstreamError(
        _message(failure, verdict),
        kind=verdict.kind,
        blame=verdict.blame,
        retryable=verdict.retryable,
        status=_client_status(failure, verdict),
        retry_after_s=verdict.pause_s if waits is None else waits.seconds,
        upstream_status=failure.status,
        upstream_body=failure.body,
        path=facts.param if facts else None,
        vendor_code=facts.code if facts else None,
    )
    error.family = verdict.family
    error.pause_s = verdict.pause_s
    error.needs_operator = verdict.needs_operator
    error.evidence = verdict.evidence or _evidence(failure, verdict, waits)
    return error


def limited(verdict: Verdict, waits: Wait | None) -> Verdict:
    """Return the verdict on a limit that ends as was told; one that lasts is no matter of pace:
    then the quota for that model is used up."""
    if waits is None or waits.seconds < _LONG_LIMIT_S:
        return replace(verdict, wait=waits)
    return used_up(waits.seconds, waits.said, verdict.blame)


def told_wait(failure: Failure) -> Wait | None:
    """Return the wait that a message speaks of: `Please try again in 1.2s`."""
    return wait(duration_in(failure.own_words), "told to wait")


# --- kinds ------------------------------------------------------------------------------------


def _kind_told(failure: Failure, facts: ErrorFacts) -> ErrorKind:
    """Return the kind of an error that the API itself told."""
    kind = _kind(failure)
    told = f"{facts.code or ''} {facts.message}".lower()
    if kind is ErrorKind.INVALID_REQUEST and any(text in told for text in _SIGNATURE_TEXTS):
        return ErrorKind.SIGNATURE
    if kind is ErrorKind.NOT_FOUND and "model" in told:
        return ErrorKind.MODEL_NOT_FOUND
    return ErrorKind.OVERLOADED if _AT_CAPACITY in failure.own_words else kind


def _kind(failure: Failure) -> ErrorKind:
    status = failure.meant_status
    named = failure.facts.kind if failure.facts else None
    if named is not None and named not in _GENERIC:
        return _as_upstream(named)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if failure.facts is not None and failure.facts.code == _SLOW_DOWN:
        return ErrorKind.OVERLOADED
    if 400 <= status < 500:
        return ErrorKind.INVALID_REQUEST
    return named if named is not None and status < 400 else ErrorKind.UPSTREAM


def _as_upstream(kind: ErrorKind) -> ErrorKind:
    return ErrorKind.UPSTREAM_AUTH if kind is ErrorKind.AUTHENTICATION else verdict_for(kind).kind


def _status_told(payload: JsonObject, facts: ErrorFacts | None) -> int | None:
    """Return the status of an error inside a 200, which some write beside it or as its code."""
    told: tuple[Json, ...] = (payload.get("status_code"), payload.get("status"))
    if facts is not None:
        code = facts.code or ""
        told += (int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None,)
    for status in told:
        if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600:
            return status
    return None


# --- what is told -----------------------------------------------------------------------------


def _client_status(failure: Failure, verdict: Verdict) -> int:
    if verdict.status is not None:
        return verdict.status
    status = failure.meant_status
    return status if 400 <= status < 500 and status not in _BY_STATUS else 400


def _message(failure: Failure, verdict: Verdict) -> str:
    told = failure.facts.message if failure.facts else ""
    text = scrubbed(told, f"the provider answered with status {failure.status}")
    match verdict.kind:
        case ErrorKind.UPSTREAM_AUTH:
            return f"the provider refused the gateway's credential: {text}"
        case ErrorKind.EGRESS:
            does = "fails" if failure.status >= 500 else "is blocked"
            return f"the way to the provider {does} (status {failure.status})"
        case _:
            return text


def _evidence(failure: Failure, verdict: Verdict, waits: Wait | None) -> str:
    if waits is not None and verdict.kind in _LIMITS:
        return waits.said
    status = failure.meant_status
    told = f"status {status}" if status >= 400 else f"{verdict.kind.value} inside status {status}"
    return told if waits is None else f"{told}, {waits.said}"
