"""The real clock."""

import time


class SystemClock:
    """Time of this machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
