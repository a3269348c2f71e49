"""The real clock."""

import time


class SystemClock:
    """Time of this machine."""

    # The functions themselves: a request asks for the time two dozen times.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
