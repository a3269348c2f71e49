"""What a Gemini request says of its conversation."""

from dialects.openings import Speaker, session_of
from models.json_types import JsonObject
from models.session import Session


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises."""
    system = payload.get("systemInstruction", payload.get("system_instruction"))
    contents = payload.get("contents")
    return session_of(
        None,
        system.get("parts") if isinstance(system, dict) else system,
        [contents] if isinstance(contents, dict) else contents,
        _speaker,
        "parts",
    )


def _speaker(content: JsonObject) -> Speaker:
    """Return who speaks in a content; a single one may stand without its role."""
    return "model" if content.get("role") == "model" else "user"
