"""What a Responses request says of its conversation."""

from collections.abc import Iterator
from typing import Final

from dialects.openings import Speaker, Turn, objects, session_of, speaker_of
from models.json_types import Json, JsonObject
from models.session import Session

_MODELS_OWN: Final = ("reasoning", "compaction")
"""Types of items, besides calls of tools, that only a model leaves behind."""


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises.

    What the request goes on from by its id was written out before
    (`services/conversations.py`), so that it begins as its first turn did.
    """
    name, system = payload.get("prompt_cache_key"), payload.get("instructions")
    return session_of(name, system, _turns(payload.get("input")))


def _turns(given: Json) -> Iterator[Turn]:
    """Yield the turns of a list of items; text alone is what the user says."""
    if isinstance(given, str):
        yield "user", given
    for item in objects(given):
        yield _speaker(item), item.get("content")


def _speaker(item: JsonObject) -> Speaker:
    role, kind = item.get("role"), item.get("type")
    if isinstance(role, str):
        return speaker_of(role)
    is_models = isinstance(kind, str) and (kind in _MODELS_OWN or kind.endswith("_call"))
    return "model" if is_models else ""
