"""What a login that failed is called: by one of a fixed set of words, never the provider's own."""

from auth.token_failures import RefreshError, RefreshRejected, RefreshThrottled
from models.errors import BadRequest, ErrorKind, GatewayError
from services.hindrance import PROXY_FAILED


def told(error: RefreshError) -> GatewayError:
    """Return the error for whoever wanted to end a login."""
    details = {"reason": error.reason}
    if isinstance(error, RefreshRejected):
        return BadRequest(f"the provider refused the login ({error.reason})", details=details)
    if isinstance(error, RefreshThrottled):
        return GatewayError(
            f"the provider wants us to wait ({error.reason}); begin a new login then",
            kind=ErrorKind.UNAVAILABLE,
            status=503,
            retry_after_s=error.retry_after_s,
            details=details,
        )
    is_proxy = error.reason == PROXY_FAILED
    return GatewayError(
        f"the provider gave no answer to the login ({error.reason}); begin a new one",
        kind=ErrorKind.EGRESS if is_proxy else ErrorKind.UPSTREAM,
        status=502,
        details=details,
    )
