"""What an error of a model call tells besides itself: what was tried, and when to come again."""

from typing import Final

from models.attempt import Attempt
from models.errors import GatewayError
from models.exchange import RequestRecord

_LIMITED: Final = 429
_COME_AGAIN: Final = frozenset({429, 503, 529})
_USUAL_WAIT_S: Final = "5"
_MAX_TOLD: Final = 16


def tell_attempts(error: GatewayError, record: RequestRecord, *, is_admin: bool) -> None:
    """Let an error that is not the request's fault say what was tried; admins see with whom.

    An error that several requests share says to each what holds for it.
    """
    details = {name: value for name, value in error.details.items() if name != "attempts"}
    tries = [one for one in record.tries if one.account_id]
    if tries and (error.status >= 500 or error.status == _LIMITED):
        details["attempts"] = [_told(one, is_admin) for one in tries[:_MAX_TOLD]]
    error.details = details


def when_to_come_again(error: GatewayError, status: int) -> dict[str, str]:
    """Return the header that says so where the error itself knows no time."""
    is_open = status in _COME_AGAIN and error.retry_after_s is None
    return {"retry-after": _USUAL_WAIT_S} if is_open else {}


def _told(attempt: Attempt, is_admin: bool) -> dict[str, object]:
    told: dict[str, object] = {"provider": attempt.provider_id, "model": attempt.model}
    if is_admin:
        told["account"] = attempt.account_id
    return told | {"status": attempt.status, "error": attempt.error_kind}
