"""What Code Assist accepts of a Gemini request."""

import hashlib
from typing import Final

from dialects.base import Encoded
from dialects.fields import dumps
from dialects.gemini.canonical import canonical, integer
from models.json_types import Json, JsonObject
from models.profile import Profile

_KNOWN: Final = frozenset(
    {
        "cachedContent",
        "contents",
        "generationConfig",
        "labels",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)
_KNOWN_SETTINGS: Final = frozenset(
    {
        "audioTimestamp",
        "candidateCount",
        "frequencyPenalty",
        "logprobs",
        "maxOutputTokens",
        "mediaResolution",
        "modelSelectionConfig",
        "presencePenalty",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "routingConfig",
        "seed",
        "speechConfig",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    }
)
_IMAGE_SETTING: Final = "imageConfig"
# The envelope names the model; whether a request is kept is no matter of the answer.
_SILENT: Final = frozenset({"model", "store"})
_NAMES: Final = {"serviceTier": "service_tier"}
"""What clients of other formats may have written is told by the name that all encoders use."""
_SESSION_BITS: Final = (1 << 63) - 1


def adapt(payload: JsonObject, profile: Profile) -> Encoded:
    """Return the request as Code Assist takes it; the argument stays as it is.

    Raises BadRequest for a field that is given in both of its spellings.
    """
    request = canonical(payload)
    dropped = [_NAMES.get(name, name) for name in request if name not in _KNOWN | _SILENT]
    edited: JsonObject = {name: value for name, value in request.items() if name in _KNOWN}
    edited["contents"] = contents = _contents(edited.get("contents"))
    _instruct(edited)
    _configure(edited, profile, dropped)
    if profile.validated_tools:
        _validate_calls(edited, dropped)
    if (session := _session_id(contents)) is not None:
        edited["sessionId"] = session
    return Encoded(edited, tuple(dropped))


def adapt_count(payload: JsonObject, _profile: Profile) -> Encoded:
    """Return a count as Code Assist takes it: contents, without thoughts, and nothing else.

    System text and tools are counted as the text they are: without them a conversation would
    look shorter than it is. Raises BadRequest as `adapt` does.
    """
    request = canonical(payload)
    inner = request.get("generateContentRequest")
    if isinstance(inner, dict):
        request = inner
    contents = _contents(request.get("contents"), keeps_signed=False)
    ahead = _texts(request.get("systemInstruction"))
    if tools := request.get("tools"):
        ahead.append({"text": dumps(tools).decode()})
    if ahead:
        contents.insert(0, {"role": "user", "parts": ahead})
    return Encoded({"contents": contents})


def _contents(contents: Json, *, keeps_signed: bool = True) -> list[Json]:
    """Return the contents as a list, without thoughts that nobody signed: the service has no use
    for them. In a count it takes none at all."""
    listed = contents if isinstance(contents, list) else [contents]
    kept = [_without_thoughts(content, keeps_signed) for content in listed]
    return [content for content in kept if content is not None]


def _without_thoughts(content: Json, keeps_signed: bool) -> Json:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(parts, list):
        return content
    kept = [
        part
        for part in parts
        if not isinstance(part, dict)
        or part.get("thought") is not True
        or (keeps_signed and part.get("thoughtSignature"))
    ]
    if len(kept) == len(parts):
        return content
    return {**content, "parts": kept} if kept else None


def _instruct(edited: JsonObject) -> None:
    """Give the system text the role of a user, which the service wants it to have."""
    system = edited.get("systemInstruction")
    if isinstance(system, str):
        edited["systemInstruction"] = {"role": "user", "parts": [{"text": system}]}
    elif isinstance(system, dict):
        edited["systemInstruction"] = {**system, "role": "user"}


def _configure(edited: JsonObject, profile: Profile, dropped: list[str]) -> None:
    settings = edited.get("generationConfig")
    if not isinstance(settings, dict):
        return
    known = _KNOWN_SETTINGS
    if "image" in profile.model:
        known |= {_IMAGE_SETTING}
    dropped += [f"generationConfig.{name}" for name in settings if name not in known]
    kept: JsonObject = {name: value for name, value in settings.items() if name in known}
    # Above the model's own limit the request would be refused.
    cap, limit = profile.max_output_tokens, integer(kept, "maxOutputTokens", "generationConfig")
    if cap is not None and limit is not None and limit > cap:
        kept["maxOutputTokens"] = cap
        dropped.append("max_tokens")
    edited["generationConfig"] = kept


def _validate_calls(edited: JsonObject, dropped: list[str]) -> None:
    """Ask for calls that obey their schemas: the only mode besides NONE that Claude takes there."""
    chosen = edited.get("toolConfig")
    calling = chosen.get("functionCallingConfig") if isinstance(chosen, dict) else None
    if not isinstance(chosen, dict) or not isinstance(calling, dict):
        return
    if calling.get("mode") == "ANY":
        dropped.append("tool_choice")
    if calling.get("mode") != "NONE":
        calling = {**calling, "mode": "VALIDATED"}
        edited["toolConfig"] = {**chosen, "functionCallingConfig": calling}


def _session_id(contents: list[Json]) -> str | None:
    """Return a name for the conversation that stays the same in it: what was cached of earlier
    turns is found by it."""
    for content in contents:
        is_model = isinstance(content, dict) and content.get("role") == "model"
        texts = [] if is_model else _texts(content)
        if texts:
            digest = hashlib.sha256(dumps(texts[0])).digest()
            return f"-{int.from_bytes(digest[:8], 'big') & _SESSION_BITS}"
    return None


def _texts(content: Json) -> list[Json]:
    """Return the text parts of a content, which may be a string."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    parts = content.get("parts") if isinstance(content, dict) else None
    listed = parts if isinstance(parts, list) else [parts]
    return [
        {"text": part["text"]}
        for part in listed
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]
    ]
