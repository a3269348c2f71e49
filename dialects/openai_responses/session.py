"""What a Responses request says of its conversation."""

from typing import Final

from dialects.openings import Speaker, by_role, session_of
from models.json_types import JsonObject
from models.session import Session

_MODELS_OWN: Final = ("reasoning", "compaction")
"""Types of items, besides calls of tools, that only a model leaves behind."""


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises.

    What the request goes on from by its id was written out before
    (`services/conversations.py`), so that it begins as its first turn did.
    """
    name, system = payload.get("prompt_cache_key"), payload.get("instructions")
    items = payload.get("input")
    if isinstance(items, str):  # text alone is what the user says
        items = [{"role": "user", "content": items}]
    return session_of(name, system, items, _speaker)


def _speaker(item: JsonObject) -> Speaker:
    kind = item.get("type")
    if isinstance(item.get("role"), str):
        return by_role(item)
    is_models = isinstance(kind, str) and (kind in _MODELS_OWN or kind.endswith("_call"))
    return "model" if is_models else ""
