"""Between any two formats: what arrives at the provider is what the client told."""

import itertools
import json
from collections.abc import Mapping

from hypothesis import given, settings

from dialects.base import Dialect, Encoded
from dialects.fields import dumps
from models.chat import ChatRequest
from models.content import Refusal, Text, ToolCall, ToolResult
from models.json_types import JsonObject
from tests.dialects.official import fits
from tests.dialects.pairs.formats import each_pair, profile
from tests.dialects.pairs.tellers import TELLERS
from tests.dialects.test_conversations import Exchange, Said, conversations, expected

FEW = settings(max_examples=20)


@each_pair
@FEW
@given(told=conversations)
def test_a_conversation_arrives_as_it_was_told(
    provider: Dialect, client: Dialect, told: list[Exchange]
) -> None:
    wanted = client.decode_request(TELLERS[client.name](told))
    assert _joined(said(wanted, NOTHING)) == _joined(expected(told))
    encoded = provider.encode_request(wanted, profile(provider))
    payload: JsonObject = json.loads(dumps(encoded.payload))
    fits(provider.name, payload)
    assert encoded.dropped == ()
    received = provider.decode_request(payload)
    assert _joined(said(received, encoded)) == _joined(expected(told))


NOTHING = Encoded({})


def said(request: ChatRequest, sent: Encoded) -> Said:
    """Return who says what in which order; tools and properties have the client's names."""
    found: Said = []
    names: dict[str, str] = {}
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text) | Refusal(text):
                    found.append((message.role, text))
                case ToolCall():
                    names[part.id] = sent.tool_names.get(part.name, part.name)
                    found.append(("call", names[part.id], _arguments(part, sent)))
                case ToolResult():
                    found.append(("result", names[part.call_id], _text(part)))
                case _:
                    raise AssertionError(part)
    return found


def _arguments(call: ToolCall, sent: Encoded) -> str:
    given = json.loads(call.arguments or "{}")
    own: Mapping[str, str] = sent.properties.get(call.name, {})
    return json.dumps({own.get(key, key): given[key] for key in given}, sort_keys=True)


def _text(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.parts if isinstance(part, Text))


def _joined(told: Said) -> Said:
    """Return the turns of one voice as one, without blanks: formats join and drop them so.

    Results stand in the order of their calls, whatever the client's was.
    """
    found: Said = []
    for kind, *rest in (one for one in told if one[0] in ("call", "result") or one[1].strip()):
        if kind in ("call", "result"):
            found.append((kind, *rest[:-1], rest[-1].strip()))
        elif found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + "".join(rest[0].split()))
        else:
            found.append((kind, "".join(rest[0].split())))
    return [
        one
        for is_result, group in itertools.groupby(found, lambda one: one[0] == "result")
        for one in (sorted(group) if is_result else group)
    ]
