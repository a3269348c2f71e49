"""The raw path's look at a Responses request, and its splice."""

from typing import Final

from dialects import fields
from dialects.base import Inspected
from dialects.openai_responses.read_request import read_model
from dialects.raw_json import quoted, refuse_duplicates
from models.errors import BadRequest, Unrepresentable
from models.json_types import JsonObject

_CHECKED: Final = quoted(
    "background",
    "conversation",
    "input",
    "max_output_tokens",
    "model",
    "previous_response_id",
    "store",
    "stream",
)
_IN_PLACE_OF_INPUT: Final = ("previous_response_id", "prompt")


def inspect(body: bytes, payload: JsonObject) -> Inspected:
    """Check what is routed, billed and kept; the rest is the provider's to judge."""
    inspected = inspect_count(body, payload)
    fields.optional_integer(payload, "max_output_tokens")
    fields.optional_bool(payload, "store")
    if fields.optional_bool(payload, "background"):
        raise Unrepresentable(
            "background: answers are not kept for a caller who does not wait", path="background"
        )
    if payload.get("input") is None and not any(payload.get(key) for key in _IN_PLACE_OF_INPUT):
        raise BadRequest("input: required, expected a string or a list of items", path="input")
    return Inspected(inspected.model, fields.optional_bool(payload, "stream") is True)


def inspect_count(body: bytes, payload: JsonObject) -> Inspected:
    """Check a request that is only counted: `input` may be left out."""
    refuse_duplicates(body, payload, _CHECKED)
    if payload.get("conversation") is not None:
        # It lies with one account of the provider, and is open there to whoever has its id.
        raise Unrepresentable(
            "conversation: name the last answer as previous_response_id", path="conversation"
        )
    fields.optional_text(payload, "previous_response_id")
    if not isinstance(payload.get("input"), str):
        fields.optional_objects(payload, "input")
    return Inspected(read_model(payload), stream=False)
