"""When a client may come again, in the headers that both vendors' SDKs obey."""

import math
from typing import Final

from models.errors import GatewayError, UpstreamError

_LONG_WAIT_S: Final = 60.0


def retry_headers(error: GatewayError) -> dict[str, str]:
    """Return `retry-after` (whole seconds, rounded up) and `x-should-retry` where they apply.

    The SDKs sleep as long as `retry-after` says, even for hours, so they are told not to retry
    beyond a minute; nor where every account was tried already.
    """
    headers = {}
    waits = error.retry_after_s
    if waits is not None:
        headers["retry-after"] = str(max(math.ceil(waits), 0))
    is_exhausted = isinstance(error, UpstreamError) and waits is None and error.status >= 500
    if is_exhausted or (waits is not None and waits > _LONG_WAIT_S):
        headers["x-should-retry"] = "false"
    return headers
