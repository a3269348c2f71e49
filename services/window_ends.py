"""Refusals that tell the end of a window where nothing else does, kept to be learned from."""

from dataclasses import dataclass
from typing import Final

from models.errors import Blame, ErrorKind, UpstreamError
from models.rest import EVERY_MODEL
from providers.base import Route

WINDOW_S: Final = 5 * 3_600.0
"""How long a window is taken to last where nobody says it."""
_SLACK_S: Final = 600.0
_SHORTEST_PAUSE_S: Final = 600.0
"""A shorter one after a limit on the pace is no end of a window."""
_MAX_WAITING: Final = 1_000


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """An account had nothing left."""

    account_id: str
    scope: str
    at: float
    opens_at: float | None
    """When the window opens again, epoch seconds; None where that is not told."""


class WindowEnds:
    """Those that nobody learned from yet."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], WindowEnd] = {}

    def note(self, account_id: str, route: Route, error: UpstreamError, now: float) -> None:
        """Note a refusal if it is one; beyond a bound of those that wait it is passed over."""
        pause_s = _pause_s(error)
        if pause_s is None or len(self._waiting) >= _MAX_WAITING:
            return
        scope = EVERY_MODEL if error.blame is Blame.ACCOUNT else route.model
        end = WindowEnd(account_id, scope, now, now + pause_s if pause_s else None)
        self._waiting.setdefault((account_id, scope), end)

    def first(self) -> WindowEnd | None:
        """Return the one that waited longest."""
        return next(iter(self._waiting.values()), None)

    def done(self, end: WindowEnd) -> None:
        """It was learned from."""
        self._waiting.pop((end.account_id, end.scope), None)


def _pause_s(error: UpstreamError) -> float | None:
    """Return how long the window stays closed, 0 where that is not told; None for anything else."""
    if error.blame not in (Blame.ACCOUNT, Blame.ACCOUNT_MODEL, Blame.FAMILY):
        return None
    if error.kind not in (ErrorKind.QUOTA, ErrorKind.RATE_LIMIT):
        return None
    pause_s = error.pause_s if error.pause_s is not None else error.retry_after_s
    if pause_s is None or pause_s < _SHORTEST_PAUSE_S:
        return 0.0 if error.kind is ErrorKind.QUOTA else None
    # A longer one is the end of another window: a week's, a month's.
    return pause_s if pause_s <= WINDOW_S + _SLACK_S else None
