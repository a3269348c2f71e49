"""Content parts of Chat messages, read into neutral ones."""

from collections.abc import Iterator
from typing import Final

from dialects import fields
from dialects.data_urls import address, file_content, padded
from models.content import Inline, Media, MediaKind, Refusal, Text, VendorFile
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}

UserPart = Text | Media
AssistantPart = Text | Refusal


def texts(message: JsonObject, where: str) -> tuple[Text, ...]:
    """Return content that may only be text: a string or text parts."""
    content = message.get("content")
    if isinstance(content, str):
        return (Text(content),)
    found = []
    for part, here in _listed(message, where):
        if part.get("type") != "text":
            raise fields.wrong(f"{here}.type", "text")
        found.append(_text(part, here))
    return tuple(found)


def user_parts(message: JsonObject, where: str) -> tuple[UserPart, ...]:
    """Return what a user (or, beyond the letter of the format, a tool) says."""
    content = message.get("content")
    if isinstance(content, str):
        return (Text(content),)
    return tuple([_user_part(part, here) for part, here in _listed(message, where)])


def assistant_parts(message: JsonObject, where: str) -> tuple[AssistantPart, ...]:
    """Return what the assistant said, without its reasoning and tool calls."""
    content = message.get("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    path = fields.join(where, "content")
    if not isinstance(content, list):
        raise fields.wrong(path, "a string, null or a list of parts")
    found: list[AssistantPart] = []
    for index, part in enumerate(fields.objects(message, "content", where)):
        here = f"{path}[{index}]"
        if part.get("type") == "refusal":
            found.append(Refusal(fields.text(part, "refusal", here)))
        elif part.get("type") == "text":
            found.append(_text(part, here))
        else:
            raise fields.wrong(f"{here}.type", "text or refusal")
    return tuple(found)


def _listed(message: JsonObject, where: str) -> Iterator[tuple[JsonObject, str]]:
    """Return the parts of a `content` that is no string, with their paths."""
    path = fields.join(where, "content")
    if not isinstance(message.get("content"), list):
        raise fields.wrong(path, "a string or a list of parts")
    for index, part in enumerate(fields.objects(message, "content", where)):
        yield part, f"{path}[{index}]"


def _user_part(part: JsonObject, where: str) -> UserPart:
    match part.get("type"):
        case "text":
            return _text(part, where)
        case "image_url":
            return _media("image", part, "image_url", where)
        case "video_url":
            return _media("video", part, "video_url", where)
        case "file_url":
            return _media("document", part, "file_url", where)
        case "input_audio":
            return _audio(part, where)
        case "file":
            return _file(part, where)
        case str() as kind:
            raise Unrepresentable(
                f"{where}: parts of type {kind[:64]} cannot be translated", path=where
            )
        case _:
            raise fields.wrong(f"{where}.type", "a string")


def _text(part: JsonObject, where: str) -> Text:
    return Text(fields.text(part, "text", where), _cache(part, where))


def _cache(part: JsonObject, where: str) -> JsonObject | None:
    """Return Anthropic's cache mark, which some clients write into this format too."""
    return fields.optional_mapping(part, "cache_control", where)


def _media(kind: MediaKind, part: JsonObject, key: str, where: str) -> Media:
    value = part.get(key)
    if isinstance(value, str):
        holder: JsonObject = {"url": value}
    else:
        holder = fields.mapping(part, key, where)
    here = fields.join(where, key)
    return Media(
        kind,
        address(fields.text(holder, "url", here), f"{here}.url"),
        detail=fields.optional_text(holder, "detail", here),
        cache=_cache(part, where),
    )


def _audio(part: JsonObject, where: str) -> Media:
    audio = fields.mapping(part, "input_audio", where)
    here = fields.join(where, "input_audio")
    kind = fields.text(audio, "format", here)
    data = padded(fields.text(audio, "data", here))
    return Media("audio", Inline(_AUDIO.get(kind, f"audio/{kind}"), data))


def _file(part: JsonObject, where: str) -> Media:
    file = fields.mapping(part, "file", where)
    here = fields.join(where, "file")
    filename = fields.optional_text(file, "filename", here)
    file_id = fields.optional_text(file, "file_id", here)
    if file_id is not None:
        return Media("document", VendorFile("chat", file_id), filename)
    data = fields.text(file, "file_data", here)
    return Media(
        "document", file_content(data, f"{here}.file_data"), filename, cache=_cache(part, where)
    )


def plain_json(value: Json) -> str:
    """Return JSON text of a value that should have been a string of it already."""
    return value if isinstance(value, str) else fields.dumps(value).decode()
