"""What can go wrong, told once.

A caller asks three things of an error: what do I answer (`kind`, `status`), may I try
again (`retryable`), whom do I blame (`blame`).

GatewayError
+-- BadRequest                    the body does not fit the client's dialect
|   +-- Unrepresentable           content that the target dialect cannot carry
+-- Unauthorized, Forbidden, NotFound, Conflict, PayloadTooLarge, Unprocessable
+-- NoRoute                       no provider serves the model
+-- NoCapacity                    every account cools down, waits for egress or is full
+-- StorageUnavailable            the database is away or cannot take the change now
+-- UpstreamError                 the provider, or the way to it, failed
    +-- ConnectFailed, ConnectionLost, TimedOut, StreamBroken
"""

from collections.abc import Mapping
from enum import Enum, StrEnum


class ErrorKind(StrEnum):
    """What happened, independent of any dialect. Each dialect has a table from these."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length_exceeded"
    UNSUPPORTED = "unsupported_parameter"
    CONTENT_POLICY = "content_policy"
    SIGNATURE = "invalid_signature"
    AUTHENTICATION = "authentication"
    UPSTREAM_AUTH = "upstream_auth"
    BILLING = "billing"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    RESPONSE_NOT_FOUND = "previous_response_not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    UPSTREAM = "upstream_error"
    TRUNCATED = "upstream_truncated"
    EGRESS = "egress_error"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Blame(Enum):
    """Who pays for a failure: decides what cools down."""

    REQUEST = "request"
    ACCOUNT = "account"
    FAMILY = "family"
    """The account, for one family of models (`UpstreamError.family`)."""
    ACCOUNT_MODEL = "account_model"
    EGRESS = "egress"
    PROVIDER = "provider"


class GatewayError(Exception):
    """An error whose message is safe to show to a client."""

    kind: ErrorKind = ErrorKind.INTERNAL
    status: int = 500

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind | None = None,
        status: int | None = None,
        path: str | None = None,
        retry_after_s: float | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        """JSON path of the offending field, such as `messages[2].content`."""
        self.retry_after_s = retry_after_s
        self.details = details or {}
        if kind is not None:
            self.kind = kind
        if status is not None:
            self.status = status

    @property
    def code(self) -> str:
        return self.kind.value


def let_go(error: BaseException) -> None:
    """Drop the frames that an error went through, and those of what led to it.

    For errors that are kept, or were told: a frame that keeps an error is kept by it in turn, and
    with it the whole request, until the collector comes.
    """
    error.__traceback__ = None
    left = [error.__cause__, error.__context__]
    while left:
        led = left.pop()
        if led is not None and led.__traceback__ is not None:
            led.__traceback__ = None
            left += (led.__cause__, led.__context__)


class BadRequest(GatewayError):
    """The body does not fit the client's dialect."""

    kind = ErrorKind.INVALID_REQUEST
    status = 400


class Unrepresentable(BadRequest):
    """Content that the target dialect cannot carry."""

    kind = ErrorKind.UNSUPPORTED


class Unauthorized(GatewayError):
    """The client's key is missing, unknown, expired or switched off."""

    kind = ErrorKind.AUTHENTICATION
    status = 401


class Forbidden(GatewayError):
    """The client's key is good but may not do this."""

    kind = ErrorKind.PERMISSION
    status = 403


class NotFound(GatewayError):
    """There is no such thing."""

    kind = ErrorKind.NOT_FOUND
    status = 404


class NoRoute(GatewayError):
    """No provider serves the model."""

    kind = ErrorKind.MODEL_NOT_FOUND
    status = 404


class Conflict(GatewayError):
    """The change collides with what is stored."""

    kind = ErrorKind.CONFLICT
    status = 409


class PayloadTooLarge(GatewayError):
    """The body is larger than `server.max_body_bytes`."""

    kind = ErrorKind.TOO_LARGE
    status = 413


class Unprocessable(GatewayError):
    """JSON that does not fit the schema of an `/api/v1` body."""

    kind = ErrorKind.INVALID_REQUEST
    status = 422


class NoCapacity(GatewayError):
    """No account can serve now. `details["reasons"]` counts why, by reason."""

    kind = ErrorKind.UNAVAILABLE
    status = 503


class StorageUnavailable(GatewayError):
    """The database is away, or too busy to take the change now; nothing was decided."""

    kind = ErrorKind.UNAVAILABLE
    status = 503


class UpstreamError(GatewayError):
    """The provider, or the way to it, failed."""

    kind = ErrorKind.UPSTREAM
    status = 502

    def __init__(
        self,
        message: str,
        *,
        blame: Blame = Blame.ACCOUNT_MODEL,
        retryable: bool = True,
        kind: ErrorKind | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
        upstream_body: bytes | None = None,
        path: str | None = None,
        vendor_code: str | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message, kind=kind, status=status, retry_after_s=retry_after_s, path=path)
        self.blame = blame
        self.retryable = retryable
        """Whether another account may be tried while nothing has reached the client."""
        self.upstream_status = upstream_status
        self.upstream_body = upstream_body
        """The provider's own body."""
        self.is_verbatim = False
        """The client speaks the provider's dialect and gets its status and body as they are."""
        self.vendor_code = vendor_code
        self.remedy: str | None = None
        """What the operator can do, such as an address to open; logged, never told to clients."""
        self.sent = sent
        """False when it is certain that the provider never saw the request."""
        self.family: str | None = None
        """Which models of the account are meant, where the blame is FAMILY; None: the family of
        the model that was asked."""
        self.pause_s: float | None = None
        """How long the one to blame rests, where that is known and is not `retry_after_s`: until
        a window opens again, at most as long as such a window lasts."""
        self.needs_operator = False
        """Nobody but an operator can mend this: a revoked key, a disabled organisation."""
        self.evidence = ""
        """What this was read from, in a few words without secrets: `5h window rejected`."""


class ConnectFailed(UpstreamError):
    """No connection to the provider or to the account's proxy came about."""

    def __init__(self, message: str, *, blame: Blame) -> None:
        super().__init__(message, blame=blame, sent=False)
        self.kind = ErrorKind.EGRESS if blame is Blame.EGRESS else ErrorKind.UPSTREAM


class ConnectionLost(UpstreamError):
    """The provider closed a connection before it answered; usually one that had been idle."""

    def __init__(self, message: str) -> None:
        super().__init__(message, blame=Blame.PROVIDER)


class TimedOut(UpstreamError):
    """The provider was silent for longer than allowed."""

    kind = ErrorKind.TIMEOUT
    status = 504


class StreamBroken(UpstreamError):
    """The answer ended before its end marker."""

    kind = ErrorKind.TRUNCATED
