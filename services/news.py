"""Tells the other replicas who rests, and hears it from them.

Messages may be lost; then a replica meets the limit itself, once.
"""

import logging
from typing import Final

from dialects.fields import dumps, parse_object
from models.errors import BadRequest, ErrorKind
from models.rest import Rest
from repositories.base import SharedState
from services.background import Background
from services.cooldown import Cooldowns

logger = logging.getLogger(__name__)

CHANNEL: Final = "aigateway:cooldowns"


class CooldownNews:
    """Carries rests between replicas."""

    def __init__(self, shared: SharedState, cooldowns: Cooldowns, background: Background) -> None:
        self._shared = shared
        self.cooldowns = cooldowns
        self._background = background

    def tell(self, rest: Rest) -> None:
        """Send one rest out, without waiting."""
        if self._shared.mode == "memory":
            return
        message = dumps(
            {
                "subject": rest.subject,
                "scope": rest.scope,
                "began_at": rest.began_at,
                "until": rest.until,
                "reason": rest.reason.value,
            }
        )
        self._background.spawn("cooldown.tell", self._shared.publish(CHANNEL, message))

    async def listen(self) -> None:
        """Take in what other replicas tell, until cancelled."""
        async for message in self._shared.subscribe(CHANNEL):
            rest = _read(message)
            if rest is not None:
                self.cooldowns.take(rest)


def _read(message: bytes) -> Rest | None:
    try:
        told = parse_object(message)
        began_at, until = told["began_at"], told["until"]
        if not isinstance(began_at, int | float) or not isinstance(until, int | float):
            return None
        reason = ErrorKind(str(told["reason"]))
        return Rest(str(told["subject"]), str(told["scope"]), began_at, until, reason)
    except (BadRequest, KeyError, ValueError):
        logger.warning("a cooldown message was not understood")
        return None
