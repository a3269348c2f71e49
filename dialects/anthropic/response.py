"""Whole answers of the Messages format, read and written."""

from typing import Final

from dialects.anthropic.errors import upstream_error
from dialects.anthropic.finish import read_finish, write_finish
from dialects.anthropic.read_content import DIALECT, VENDOR, reasoning
from dialects.anthropic.usage import read_usage, write_usage
from dialects.anthropic.write_content import wire_call_id
from dialects.arguments import arguments_text, read_arguments, read_cut_arguments
from dialects.base import ReplyContext
from dialects.citations import of_anthropic
from dialects.fields import dumps
from dialects.media_text import media_text
from dialects.signatures import tagged
from models.chat import ChatRequest, ChatResponse, FinishReason
from models.content import Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import BadRequest, UpstreamError
from models.json_types import Json, JsonObject

_ID_PREFIX: Final = "msg_"

# --- reading ----------------------------------------------------------------------------------


def decode_response(payload: JsonObject) -> ChatResponse:
    """Read a provider's whole answer; raises UpstreamError for an error or garbage in it."""
    try:
        parts = _read_parts(payload)
    except BadRequest as error:  # of the writer of JSON, which knows no better
        raise UpstreamError("the provider's answer is nested too deeply") from error
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    sequence = payload.get("stop_sequence")
    return ChatResponse(
        id=_text(payload.get("id")),
        model=_text(payload.get("model")),
        created=0,
        parts=parts,
        finish=read_finish(payload.get("stop_reason"), has_calls=has_calls),
        stop_sequence=sequence if isinstance(sequence, str) else None,
        usage=read_usage(payload.get("usage")),
    )


def _read_parts(payload: JsonObject) -> tuple[Part, ...]:
    content = payload.get("content")
    if payload.get("type") == "error" or not isinstance(content, list):
        raise upstream_error(payload, dumps(payload))
    return tuple(
        _read_block(block, index) for index, block in enumerate(content) if isinstance(block, dict)
    )


def _read_block(block: JsonObject, index: int) -> Part:
    """Read one block of an answer, leniently: what is missing is made up or empty."""
    match block.get("type"):
        case "text":
            citations = block.get("citations")
            kept = citations if isinstance(citations, list) else []
            return Text(
                _text(block.get("text")),
                citations=tuple(item for item in kept if isinstance(item, dict)),
            )
        case "thinking":
            return reasoning(_text(block.get("thinking")), _text(block.get("signature")))
        case "redacted_thinking":
            return Reasoning("", origin=VENDOR, redacted=_text(block.get("data")))
        case "tool_use":
            arguments = block.get("input")
            return ToolCall(
                _text(block.get("id")) or f"toolu_{index}",
                _text(block.get("name")) or f"tool_{index}",
                "" if not arguments else arguments_text(arguments),
            )
        case _:
            return Opaque(DIALECT, block)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


# --- writing ----------------------------------------------------------------------------------


def encode_response(response: ChatResponse, context: ReplyContext) -> JsonObject:
    """Write a whole answer for a client."""
    shows = shows_thinking(context.request)
    is_cut = response.finish is FinishReason.LENGTH
    kinds = {*map(type, response.parts)}
    content: list[Json] = []
    for part in response.parts:
        if isinstance(part, ToolCall) and (carried := carrier(part)) is not None:
            content.append(carried)
        if (block := _write_block(part, shows=shows, is_cut=is_cut)) is not None:
            content.append(block)
    return {
        "id": message_id(response.id, context),
        "type": "message",
        "role": "assistant",
        "model": response.model or context.request.model,
        "content": content,
        **write_finish(
            response.finish,
            response.stop_sequence,
            refusal_text(response.parts) if Refusal in kinds else None,
            has_calls=ToolCall in kinds,
        ),
        "usage": write_usage(response.usage),
    }


def message_id(upstream_id: str, context: ReplyContext) -> str:
    """Return the upstream's id when it is a Messages one, else one of our own."""
    if upstream_id.startswith(_ID_PREFIX):
        return upstream_id
    return _ID_PREFIX + context.reply_id[:24]


def shows_thinking(request: ChatRequest) -> bool:
    """Say whether the client asked to see thinking; signed thinking it gets in any case."""
    thinking = request.thinking
    return thinking.mode not in ("default", "off") and thinking.display != "omitted"


def written_signature(part: Reasoning) -> str:
    """Return the signature as this format carries it: tagged when another vendor made it."""
    if not part.signature:
        return ""
    if part.origin == VENDOR:
        return part.signature
    return tagged(part.origin, part.signature)


def carrier(call: ToolCall) -> JsonObject | None:
    """Return the block that takes a call's signature to the client; it stands before the call."""
    if not call.signature:
        return None
    tag = tagged(call.origin, call.signature, "call")
    return {"type": "thinking", "thinking": "", "signature": tag}


def refusal_text(parts: tuple[Part, ...]) -> str | None:
    """Return what the model said in refusing, where that is a part of its own."""
    return "".join([part.text for part in parts if isinstance(part, Refusal)]) or None


def _write_block(part: Part, *, shows: bool, is_cut: bool) -> JsonObject | None:
    match part:
        case Text():
            return _write_text(part) if part.text else None
        case Refusal():
            return {"type": "text", "text": part.text} if part.text else None
        case Reasoning():
            return _write_reasoning(part, shows=shows)
        case ToolCall():
            read = read_cut_arguments if is_cut else read_arguments
            return {
                "type": "tool_use",
                "id": wire_call_id(part.id),
                "name": part.name,
                "input": read(part.arguments),
            }
        case Media():
            return {"type": "text", "text": media_text(part)}
        case Opaque(dialect=name, payload=payload):
            return payload if name == DIALECT else None
        case _:
            return None


def _write_text(part: Text) -> JsonObject:
    block: JsonObject = {"type": "text", "text": part.text}
    if part.citations and (cited := of_anthropic(part.citations)):
        block["citations"] = [*cited]
    return block


def _write_reasoning(part: Reasoning, *, shows: bool) -> JsonObject | None:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    if not part.signature and not (shows and part.text):
        return None
    return {"type": "thinking", "thinking": part.text, "signature": written_signature(part)}
