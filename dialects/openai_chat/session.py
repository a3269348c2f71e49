"""What a Chat request says of its conversation."""

from dialects.openings import session_of
from models.json_types import JsonObject
from models.session import Session


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises."""
    return session_of(payload.get("prompt_cache_key"), None, payload.get("messages"))
