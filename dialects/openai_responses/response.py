"""Whole answers of the Responses format, both directions: what their streams come to."""

from dialects.base import ReplyContext
from dialects.fields import dumps, mended
from dialects.openai_responses.assembly import Assembly
from dialects.openai_responses.encoder import ResponsesEncoder
from dialects.openai_responses.errors import read_error, stream_failure
from dialects.openai_responses.wire import NoWire
from models.chat import ChatResponse
from models.errors import BadRequest, UpstreamError
from models.events import collect, replay
from models.json_types import JsonObject


def read_response(payload: JsonObject) -> ChatResponse:
    """Read a provider's answer. Raises UpstreamError for garbage or an error in it."""
    if read_error(payload) is not None:
        raise stream_failure(payload, _bytes(payload))
    if not isinstance(payload.get("output"), list):
        raise UpstreamError("the provider's answer has no output", upstream_body=_bytes(payload))
    assembly = Assembly()
    try:
        assembly.whole(payload)
    except BadRequest as error:  # of the writer of JSON, which knows no better
        raise UpstreamError("the provider's answer is nested too deeply") from error
    return collect(assembly.flush())


def write_response(response: ChatResponse, context: ReplyContext) -> JsonObject:
    """Write an answer for a client."""
    encoder = ResponsesEncoder(context, NoWire())
    for event in replay(response):
        encoder.encode(event)
    return encoder.response


def _bytes(payload: JsonObject) -> bytes:
    try:
        return dumps(payload)
    except BadRequest:
        return mended(str(payload.get("error"))[:2000]).encode()
