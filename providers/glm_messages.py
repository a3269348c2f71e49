"""What GLM accepts of Chat messages."""

import re
from collections.abc import Sequence
from typing import Final

from dialects.openai_chat.write_parts import document_text
from models.content import Inline, Media
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile

PLACEHOLDER: Final = "Continue."
"""What the user says where GLM needs a user turn and the client has none."""

_VISION: Final = re.compile(r"glm-[\d.]+v|glm-4-voice|glm-4v")
_DATA_URL: Final = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_TEXT_URL: Final = re.compile(r"data:(text/[^;,]*)[^,]*;base64,", re.IGNORECASE)


def adapted_messages(
    messages: Sequence[Json], profile: Profile, instruction: str | None
) -> list[Json]:
    """Return the messages as GLM takes them, with `instruction` added to the system text."""
    sees = _VISION.search(profile.model.lower()) is not None
    adapted = [
        _message(message, f"messages[{index}]", sees=sees) if isinstance(message, dict) else message
        for index, message in enumerate(messages)
    ]
    if instruction is not None:
        _instruct(adapted, instruction)
    if not any(_role(message) == "user" for message in adapted):
        adapted.insert(_first_turn(adapted), {"role": "user", "content": PLACEHOLDER})
    return adapted


def names_speakers(messages: Sequence[Json]) -> bool:
    """Say whether a message tells who of several speaks, which GLM does not take."""
    return any(
        isinstance(message, dict)
        and message.get("role") not in ("tool", "function")
        and bool(message.get("name"))
        for message in messages
    )


def _message(message: JsonObject, where: str, *, sees: bool) -> JsonObject:
    plain = {key: message[key] for key in message if key not in ("name", "refusal", "audio")}
    if plain.get("role") == "developer":
        plain["role"] = "system"
    content = plain.get("content")
    if plain.get("role") == "assistant" and not content:
        refusal = message.get("refusal")
        plain["content"] = refusal if isinstance(refusal, str) else ""
    elif isinstance(content, list):
        plain["content"] = _content(content, f"{where}.content", sees=sees)
    return plain


def _content(parts: list[Json], where: str, *, sees: bool) -> Json:
    """Return one string where that is possible: text models take nothing else."""
    named = [_file(part, f"{where}[{index}]") for index, part in enumerate(parts)]
    texts = [_text(part) for part in named]
    if all(text is not None for text in texts):
        return "\n".join(text for text in texts if text)
    return [_bare_image(part) for part in named] if sees else named


def _text(part: Json) -> str | None:
    if not isinstance(part, dict):
        return None
    text = part.get("text") if part.get("type") == "text" else part.get("refusal")
    return text if isinstance(text, str) else None


def _file(part: Json, where: str) -> Json:
    """Return a file under GLM's name for one; what is text comes as text."""
    file = part.get("file") if isinstance(part, dict) else None
    if not isinstance(file, dict):
        return part
    if file.get("file_id") is not None:
        raise Unrepresentable(f"{where}: a file id of another vendor", path=where)
    url, name = file.get("file_data"), file.get("filename")
    found = _TEXT_URL.match(url) if isinstance(url, str) else None
    if found is not None and isinstance(url, str):
        source = Inline(found[1].lower(), url[found.end() :])
        document = Media("document", source, name if isinstance(name, str) else None)
        if (text := document_text(document)) is not None:
            return {"type": "text", "text": text}
    return {"type": "file_url", "file_url": {"url": url}}


def _bare_image(part: Json) -> Json:
    """Strip the `data:` head of an inline image, as GLM's SDK does: every model takes that."""
    image = part.get("image_url") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(image, dict):
        return part
    url = image.get("url")
    found = _DATA_URL.match(url) if isinstance(url, str) else None
    if found is None or not isinstance(url, str):
        return part
    return {**part, "image_url": {**image, "url": url[found.end() :]}}


def _instruct(messages: list[Json], instruction: str) -> None:
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system":
        content = first.get("content")
        if isinstance(content, str):
            messages[0] = {**first, "content": f"{content}\n\n{instruction}"}
            return
    messages.insert(0, {"role": "system", "content": instruction})


def _first_turn(messages: Sequence[Json]) -> int:
    roles = [_role(message) for message in messages]
    return next((at for at, role in enumerate(roles) if role != "system"), len(roles))


def _role(message: Json) -> Json:
    return message.get("role") if isinstance(message, dict) else None
