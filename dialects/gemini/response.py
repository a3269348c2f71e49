"""Whole answers of the Gemini format, read and written."""

from dialects.base import ReplyContext
from dialects.fields import dumps
from dialects.gemini.assembly import Assembly
from dialects.gemini.encoder import answer_names
from dialects.gemini.errors import upstream_error
from dialects.gemini.finish import write_finish
from dialects.gemini.parts import PartWriter, content, shows_thoughts
from dialects.gemini.usage import write_usage
from models.chat import ChatResponse
from models.errors import BadRequest, UpstreamError
from models.events import Event, collect
from models.json_types import Json, JsonObject


def decode_response(payload: JsonObject) -> ChatResponse:
    """Read a provider's whole answer, as a stream of one chunk. Raises UpstreamError."""
    try:
        data = dumps(payload)
        if not _is_answer(payload):
            raise upstream_error(payload, data)
        return collect(_events(payload, data))
    except BadRequest as error:  # of the writer of JSON, which knows no better
        raise UpstreamError("the provider's answer is nested too deeply") from error


def encode_response(response: ChatResponse, context: ReplyContext) -> JsonObject:
    """Write a whole answer for a client."""
    writer = PartWriter(shows=shows_thoughts(context.request))
    parts = [written for part in response.parts for written in writer.write(part)]
    parts += writer.rest()
    reason = write_finish(
        response.finish, has_calls=writer.has_calls, is_malformed=writer.is_malformed
    )
    candidate: JsonObject = {"content": content(parts), "finishReason": reason, "index": 0}
    payload: JsonObject = {"candidates": [candidate]}
    if response.usage.is_reported:
        payload["usageMetadata"] = write_usage(response.usage)
    return {**payload, **answer_names(response.id, response.model, context)}


def _is_answer(payload: JsonObject) -> bool:
    if "error" in payload:
        return False
    return isinstance(payload.get("candidates"), list) or "promptFeedback" in payload


def _events(payload: JsonObject, data: bytes) -> list[Event]:
    assembly = Assembly()
    return [*assembly.chunk(_ended(payload), data), *assembly.complete()]


def _ended(payload: JsonObject) -> JsonObject:
    """Return the answer with a reason: an unspecified one is left out, but a whole answer ended."""
    candidates = payload.get("candidates")
    ended: list[Json] = [
        {"finishReason": "STOP", **one} if isinstance(one, dict) else one
        for one in (candidates if isinstance(candidates, list) else [])
    ]
    if not ended and not payload.get("promptFeedback"):
        ended = [{"finishReason": "OTHER"}]
    return {**payload, "candidates": ended}
