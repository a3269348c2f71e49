"""How many calls may be repeated: a provider that is down must not be asked many times over."""

from models.ports import Clock

# Repetitions that a quiet hour may have saved up for the first moments of an outage.
_MOST_SAVED = 100.0


class RetryBudget:
    """A bucket of repetitions: each request adds a share of one, time adds some besides."""

    def __init__(self, clock: Clock, *, ratio: float = 0.2, min_per_s: float = 10.0) -> None:
        self._clock = clock
        self._ratio = ratio
        self._min_per_s = min_per_s
        self._saved = _MOST_SAVED
        self._at = clock.monotonic()

    def saw_request(self) -> None:
        """A request came, so a share of a repetition is allowed."""
        self._saved = min(self._saved + self._ratio, _MOST_SAVED)

    def take(self) -> bool:
        """Use one repetition up; False when there is none."""
        now = self._clock.monotonic()
        self._saved = min(self._saved + (now - self._at) * self._min_per_s, _MOST_SAVED)
        self._at = now
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
