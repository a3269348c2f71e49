"""What a Gemini request says of its conversation."""

from collections.abc import Iterator

from dialects.openings import Turn, objects, session_of
from models.json_types import Json, JsonObject
from models.session import Session


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises."""
    system = payload.get("systemInstruction", payload.get("system_instruction"))
    return session_of(None, _parts(system), _turns(payload.get("contents")))


def _turns(contents: Json) -> Iterator[Turn]:
    """Yield the turns; a single content may stand without its list, and without its role."""
    for content in objects([contents] if isinstance(contents, dict) else contents):
        yield "model" if content.get("role") == "model" else "user", _parts(content)


def _parts(content: Json) -> Json:
    return content.get("parts") if isinstance(content, dict) else content
