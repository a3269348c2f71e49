"""Which of several failures tells the client most."""

from collections.abc import Mapping

from models.errors import ErrorKind, GatewayError, NoCapacity, UpstreamError, let_go
from services.pool import STANDING_REASONS

# Another model may do what this one could not; any other refusal of a request meets it as well.
_ELSEWHERE = frozenset({ErrorKind.CONTEXT_LENGTH, ErrorKind.MODEL_NOT_FOUND, ErrorKind.NOT_FOUND})


def more_telling(known: GatewayError | None, new: GatewayError) -> GatewayError:
    """Keep the error that tells the client most, the later one of equals."""
    let_go(new)
    return known if known is not None and _weight(known) > _weight(new) else new


def is_final(error: GatewayError) -> bool:
    """Whether another provider of the same model would say the same."""
    return isinstance(error, UpstreamError) and not error.retryable


def is_final_for_models(error: GatewayError) -> bool:
    """Whether another model would say the same."""
    return is_final(error) and error.kind not in _ELSEWHERE


def _weight(error: GatewayError) -> int:
    """What a provider said beats a way to it that failed, that beats accounts that cannot serve
    now, that beats a request which only some providers could not have served, and that beats a
    provider which nobody has an account of."""
    match error:
        case UpstreamError():
            return 3 if error.upstream_status is not None else 2
        case NoCapacity():
            return _weight_of_refusal(error.details.get("reasons"))
        case _:
            return 0


def _weight_of_refusal(reasons: object) -> int:
    """Who may serve later beats a request that is wrong; who has nobody at all, or nobody that
    could until an operator does something, does not."""
    if not isinstance(reasons, Mapping) or not reasons:
        return -2
    return -1 if reasons.keys() <= STANDING_REASONS else 1
