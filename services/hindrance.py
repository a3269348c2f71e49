"""Why an account has no valid token, as a request is told."""

import math
from dataclasses import dataclass
from typing import Final

from models.errors import Blame, ErrorKind, UpstreamError

PROXY_FAILED: Final = "proxy_failed"
"""Reason of a refresh that did not get through the account's proxy: the proxy pays for it."""

_STATUSES: Final = {
    ErrorKind.UPSTREAM_AUTH: 502,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.EGRESS: 503,
    ErrorKind.TIMEOUT: 504,
}


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why there is no newer token, and until when asking again is useless."""

    token_version: int
    reason: str
    until: float
    """Epoch seconds UTC; infinite until an operator brings new credentials."""
    kind: ErrorKind = ErrorKind.UPSTREAM_AUTH

    def error(self, now: float, *, is_new: bool) -> UpstreamError:
        """Return the error for a request that could not be signed.

        A proxy pays only for a refresh that has just failed, and as long as proxies do; that it
        is not tried again for a while is the account's own rest.
        """
        is_proxy = is_new and self.reason == PROXY_FAILED
        has_end = not is_proxy and not math.isinf(self.until)
        error = UpstreamError(
            f"an account's access token has expired and there is no new one ({self.reason})",
            blame=Blame.EGRESS if is_proxy else Blame.ACCOUNT,
            kind=self.kind,
            status=_STATUSES[self.kind],
            retry_after_s=max(1.0, self.until - now) if has_end else None,
            sent=False,
        )
        error.pause_s = error.retry_after_s
        return error
