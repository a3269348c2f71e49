"""Sound bodies of every format, to be bent: requests, answers, streams, errors, model lists."""

from collections.abc import Sequence
from typing import Final

from dialects.base import Dialect, ModelEntry
from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, GatewayError
from models.events import replay
from models.json_types import Json
from models.usage import Usage
from tests.dialects.pairs.formats import CONTEXTS, payloads, streamed
from tests.losses.tables import FEATURES

ANSWERS: Final = (
    ChatResponse("u", "m", 5, (Text("Hi"),), FinishReason.STOP, usage=Usage(20, 10)),
    ChatResponse(
        "u",
        "m",
        5,
        (
            Reasoning("I think", "c2ln", "anthropic"),
            Reasoning("", origin="anthropic", redacted="c2ln"),
            Text(
                "Ok", citations=({"type": "web_search_result_location", "url": "https://x.test"},)
            ),
            ToolCall("call_1", "wx", '{"city":"Roma"}', None, "c2ln", "gemini"),
            ToolCall("call_2", "wx", '{"city":"Oslo"}'),
        ),
        FinishReason.TOOL_CALLS,
        usage=Usage(20, 10, 5, 5, 5),
    ),
    ChatResponse("u", "m", 5, (Refusal("no"),), FinishReason.REFUSAL, usage=Usage(20, 10)),
    ChatResponse(
        "u",
        "m",
        5,
        (Media("image", Inline("image/png", "QUJD")), Text("{")),
        FinishReason.LENGTH,
        usage=Usage(20, 10),
    ),
)


def requests(dialect: Dialect) -> list[Json]:
    """Return a request with each feature that the format has words for."""
    return [feature.body(dialect.name) for feature in FEATURES if dialect.name in feature.said]


def answers(dialect: Dialect) -> list[Json]:
    """Return whole answers as a provider of this format tells them."""
    return [dialect.encode_response(answer, CONTEXTS[dialect.name]) for answer in ANSWERS]


def streams(dialect: Dialect) -> list[list[Json]]:
    """Return the frames of streams as a provider of this format sends them."""
    told: list[list[Json]] = []
    for answer in ANSWERS:
        raw = b"".join(streamed(dialect, replay(answer)))
        told.append([*payloads(raw)])
    return told


def errors() -> Sequence[GatewayError]:
    """Return an error of each kind."""
    return [GatewayError("no", kind=kind, status=500) for kind in ErrorKind]


MODELS: Final = (ModelEntry("a/b", "openai", 5, "A"), ModelEntry("c", "anthropic"))
