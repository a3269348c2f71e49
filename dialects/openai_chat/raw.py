"""The raw path's look at a Chat request, and its two splices."""

from collections.abc import Mapping
from typing import Final

from dialects import fields
from dialects.base import Inspected
from dialects.raw_json import (
    add_member,
    members,
    quoted,
    refuse_duplicates,
    replace_value,
    with_model,
)
from models.errors import BadRequest
from models.json_types import JsonObject


def guarded(content: str) -> dict[str, bytes]:
    """Return what must not be given twice; `content` names what the model shall read."""
    return quoted("model", "stream", "max_tokens", "max_completion_tokens", content)


_GUARDED: Final = guarded("messages")


def inspect(body: bytes, payload: JsonObject) -> Inspected:
    """Check what is routed and billed; the rest is the provider's to judge."""
    asked = routed(body, payload, _GUARDED)
    fields.objects(payload, "messages")
    return asked


def routed(body: bytes, payload: JsonObject, names: Mapping[str, bytes]) -> Inspected:
    """Check what all of OpenAI's formats share; `names` are those that are `guarded`."""
    refuse_duplicates(body, payload, names)
    model = fields.text(payload, "model")
    if not model:
        raise BadRequest("model: must not be empty", path="model")
    fields.optional_integer(payload, "max_tokens")
    fields.optional_integer(payload, "max_completion_tokens")
    return Inspected(model, fields.optional_bool(payload, "stream") is True)


def prepare_raw(
    body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
) -> tuple[bytes, bool]:
    """Splice the provider's model name and, where nobody asked, the wish for usage."""
    body = with_model(body, payload, model)
    if not ask_usage or payload.get("stream") is not True:
        return body, False
    options = payload.get("stream_options")
    if options is None:
        return _with_options(body, payload), True
    if not isinstance(options, dict) or options.get("include_usage") is True:
        return body, False
    return replace_value(body, "stream_options", _asking(_value(body), options)), True


def _with_options(body: bytes, payload: JsonObject) -> bytes:
    wish = b'{"include_usage":true}'
    if "stream_options" in payload:  # null
        return replace_value(body, "stream_options", wish)
    return add_member(body, "stream_options", wish)


def _asking(options_bytes: bytes, options: JsonObject) -> bytes:
    if "include_usage" in options:
        return replace_value(options_bytes, "include_usage", b"true")
    return add_member(options_bytes, "include_usage", b"true")


def _value(body: bytes) -> bytes:
    spans = [(m.value_start, m.value_end) for m in members(body) if m.key == "stream_options"]
    start, end = spans[-1]
    return body[start:end]
