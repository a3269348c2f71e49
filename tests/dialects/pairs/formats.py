"""Every format that is registered, with what the tests of all pairs need of it."""

from collections.abc import Iterable, Sequence
from typing import Final

import orjson
import pytest

from dialects import DIALECTS
from dialects.base import Dialect, Operation, ReplyContext
from models.chat import ChatResponse
from models.content import Reasoning, Refusal, Text, ToolCall
from models.events import Event, check
from models.json_types import JsonObject
from models.profile import Profile
from tests.losses.answers import context as reply_context
from tests.losses.feature import BASE

FORMATS: Final[Sequence[Dialect]] = [
    dialect
    for dialect in DIALECTS.values()
    if dialect.operation is Operation.GENERATE and dialect.name in BASE
]
each_format = pytest.mark.parametrize("client", FORMATS, ids=lambda one: one.name)
each_pair = pytest.mark.parametrize(
    ("provider", "client"),
    [
        pytest.param(provider, client, id=f"{provider.name} to {client.name}")
        for provider in FORMATS
        for client in FORMATS
        if client is not provider
    ],
)

_PROFILES: Final = {
    "messages": Profile("m", vendor="anthropic", thinking="adaptive", prefill=False),
    "chat": Profile("m", vendor="openai"),
    "responses": Profile("m", vendor="openai"),
    "gemini": Profile("gemini-3-pro-preview", vendor="gemini"),
}
CONTEXTS: Final[dict[str, ReplyContext]] = {
    dialect.name: reply_context(dialect) for dialect in FORMATS
}


def profile(dialect: Dialect) -> Profile:
    """Return a model that takes what its format can say."""
    return _PROFILES[dialect.name]


def streamed(dialect: Dialect, events: Iterable[Event]) -> list[bytes]:
    """Return what a provider of this format, or we to its client, send for each event."""
    encoder = dialect.encoder(CONTEXTS[dialect.name])
    return [frames for event in events if (frames := encoder.encode(event))]


def heard(dialect: Dialect, chunks: Iterable[bytes]) -> list[Event]:
    """Return what is read of a stream, be it by us or by a client."""
    decoder = dialect.decoder(profile(dialect))
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return check([*events, *decoder.end()])


def payloads(raw: bytes) -> list[JsonObject]:
    """Return what the frames of a stream hold, its end marker left out."""
    frames = raw.replace(b"\r\n", b"\n").split(b"\n\n")
    datas = [frame.partition(b"data: ")[2] for frame in frames]
    return [orjson.loads(data) for data in datas if data and data != b"[DONE]"]


Seen = tuple[tuple[str, ...], ...]


def in_order(answer: ChatResponse) -> Seen:
    """Return what an answer says, however it is cut into parts; empty ones say nothing."""
    told: list[tuple[str, ...]] = []
    for part in answer.parts:
        match part:
            case Text(text) | Refusal(text) if told and told[-1][0] == type(part).__name__:
                told[-1] = (told[-1][0], told[-1][1] + text)
            case Text(text) | Refusal(text):
                told.append((type(part).__name__, text))
            case Reasoning():
                told.append(("Reasoning", part.text, part.signature or part.redacted or ""))
            case ToolCall():
                told.append(("ToolCall", part.name, _normal(part.arguments), part.signature or ""))
            case _:
                told.append((type(part).__name__, repr(part)))
    return tuple(one for one in told if any(one[1:]))


def seen(answer: ChatResponse) -> dict[str, Seen]:
    """Return the same by kinds: Chat has a field for each, so their order is lost there."""
    told = in_order(answer)
    kinds = {kind: tuple(one[1:] for one in told if one[0] == kind) for kind, *_ in told}
    for kind in kinds.keys() & {"Text", "Refusal", "Reasoning"}:
        signatures = [one[1] for one in kinds[kind] if one[1:] and one[1]]
        texts = "".join(one[0] for one in kinds[kind])
        kinds[kind] = ((texts, *signatures),)
    return kinds


def _normal(arguments: str) -> str:
    try:
        return orjson.dumps(orjson.loads(arguments or "{}"), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:
        return arguments
