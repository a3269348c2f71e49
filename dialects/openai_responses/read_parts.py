"""Content parts of Responses items, read into neutral ones."""

from collections.abc import Iterator
from typing import Final

from dialects import fields
from dialects.data_urls import address, file_content, padded
from models.content import Inline, Media, Refusal, Text, VendorFile
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

DIALECT: Final = "responses"
VENDOR: Final = "openai"

_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TEXTS: Final = ("input_text", "output_text", "text")


def texts(holder: JsonObject, key: str, where: str) -> tuple[Text, ...]:
    """Return content that may only be text: a string or text parts."""
    content = holder.get(key)
    if isinstance(content, str):
        return (Text(content),)
    return tuple([_only_text(part, here) for part, here in _listed(holder, key, where)])


def user_parts(holder: JsonObject, key: str, where: str) -> tuple[Text | Media, ...]:
    """Return what a user says or a tool answers."""
    content = holder.get(key)
    if isinstance(content, str):
        return (Text(content),)
    return tuple([_user_part(part, here) for part, here in _listed(holder, key, where)])


def assistant_parts(message: JsonObject, where: str) -> tuple[Text | Refusal, ...]:
    """Return what the assistant said; nothing at all is allowed."""
    content = message.get("content")
    if content in (None, ""):
        return ()
    if isinstance(content, str):
        return (Text(content),)
    return tuple([_assistant_part(part, here) for part, here in _listed(message, "content", where)])


def has_annotations(message: JsonObject) -> bool:
    """Say whether what the assistant said cites something; only OpenAI reads that again."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, dict) and bool(part.get("annotations")) for part in parts)


def _listed(holder: JsonObject, key: str, where: str) -> Iterator[tuple[JsonObject, str]]:
    """Return the parts of a content that is no string, with their paths."""
    path = fields.join(where, key)
    if not isinstance(holder.get(key), list):
        raise fields.wrong(path, "a string or a list of parts")
    for index, part in enumerate(fields.objects(holder, key, where)):
        yield part, f"{path}[{index}]"


def _only_text(part: JsonObject, where: str) -> Text:
    if part.get("type") not in _TEXTS:
        raise fields.wrong(f"{where}.type", "input_text")
    return Text(fields.text(part, "text", where))


def _assistant_part(part: JsonObject, where: str) -> Text | Refusal:
    if part.get("type") == "refusal":
        return Refusal(fields.text(part, "refusal", where))
    return _only_text(part, where)


def _user_part(part: JsonObject, where: str) -> Text | Media:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return Text(fields.text(part, "text", where))
        case "input_image":
            return _image(part, where)
        case "input_file":
            return _file(part, where)
        case "input_audio":
            return _audio(part, where)
        case str() as kind:
            raise Unrepresentable(
                f"{where}: parts of type {kind[:64]} cannot be translated", path=where
            )
        case _:
            raise fields.wrong(f"{where}.type", "a string")


def _image(part: JsonObject, where: str) -> Media:
    detail = fields.optional_text(part, "detail", where)
    file_id = fields.optional_text(part, "file_id", where)
    if file_id is not None:
        return Media("image", VendorFile(DIALECT, file_id), detail=detail)
    url = _image_url(part, where)
    return Media("image", address(url, f"{where}.image_url"), detail=detail)


def _image_url(part: JsonObject, where: str) -> str:
    """Return the address; some clients wrap it as the Chat format does."""
    nested: Json = part.get("image_url")
    if isinstance(nested, dict):
        return fields.text(nested, "url", f"{where}.image_url")
    return fields.text(part, "image_url", where)


def _file(part: JsonObject, where: str) -> Media:
    filename = fields.optional_text(part, "filename", where)
    file_id = fields.optional_text(part, "file_id", where)
    if file_id is not None:
        return Media("document", VendorFile(DIALECT, file_id), filename)
    url = fields.optional_text(part, "file_url", where)
    if url is not None:
        return Media("document", address(url, f"{where}.file_url"), filename)
    data = fields.text(part, "file_data", where)
    return Media("document", file_content(data, f"{where}.file_data"), filename)


def _audio(part: JsonObject, where: str) -> Media:
    audio = fields.mapping(part, "input_audio", where)
    here = f"{where}.input_audio"
    kind = fields.text(audio, "format", here)
    data = padded(fields.text(audio, "data", here))
    return Media("audio", Inline(_AUDIO.get(kind, f"audio/{kind}"), data))
