"""How a request goes over a route: as it is, edited, or translated."""

import json
from collections.abc import Mapping

import pytest

from dialects import DIALECTS
from models.chat import ChatResponse, FinishReason
from models.content import Text, ToolCall
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json
from providers import glm
from providers.base import Provider, Route
from services.plan import Plan, filtered, make_plan
from tests.builders import make_provider
from tests.services.executor_rig import make_request

CHAT, MESSAGES = make_provider(), make_provider(dialect=DIALECTS["messages"])


def plan(
    provider: Provider,
    dialect: str = "chat",
    *,
    model: str = "gpt-x",
    wants_usage: bool = False,
    stream: bool = False,
    fields: Mapping[str, Json] = {},
) -> Plan:
    request = make_request(dialect, stream=stream, **fields)  # type: ignore[arg-type] # no name is taken
    route = Route(provider, model)
    return make_plan(request, DIALECTS[dialect], route, wants_usage=wants_usage)


@pytest.mark.parametrize(("dialect", "provider"), [("chat", CHAT), ("messages", MESSAGES)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_of_the_clients_format_gets_the_very_bytes(
    dialect: str, provider: Provider, stream: bool
) -> None:
    request = make_request(dialect, stream=stream)
    made = make_plan(request, DIALECTS[dialect], Route(provider, "gpt-x"), wants_usage=False)
    assert made.body is request.body
    assert (made.mode, made.hides_usage, made.dropped) == ("raw", False, ())


@pytest.mark.parametrize(("dialect", "provider"), [("chat", CHAT), ("messages", MESSAGES)])
def test_only_the_models_name_changes_where_the_provider_knows_another(
    dialect: str, provider: Provider
) -> None:
    request = make_request(dialect, model="openai/gpt-x", odd=12345678901234567890)
    made = make_plan(request, DIALECTS[dialect], Route(provider, "gpt-x"), wants_usage=False)
    assert made.body == request.body.replace(b'"openai/gpt-x"', b'"gpt-x"')
    assert made.mode == "raw"


@pytest.mark.parametrize(
    ("stream", "options", "asked", "hidden"),
    [
        (False, None, False, False),
        (True, None, True, True),
        (True, {"include_usage": False}, True, True),
        (True, {"include_usage": True}, True, False),
    ],
)
def test_usage_of_a_stream_is_asked_for_and_hidden_from_who_did_not_ask(
    stream: bool, options: Json, asked: bool, hidden: bool
) -> None:
    fields: dict[str, Json] = {} if options is None else {"stream_options": options}
    made = plan(CHAT, wants_usage=True, stream=stream, fields=fields)
    sent = json.loads(made.body)
    assert bool((sent.get("stream_options") or {}).get("include_usage")) == asked
    assert made.hides_usage == hidden


@pytest.mark.parametrize(("dialect", "provider"), [("chat", MESSAGES), ("messages", CHAT)])
def test_another_format_is_translated_with_the_models_name_of_the_route(
    dialect: str, provider: Provider
) -> None:
    made = plan(provider, dialect, model="renamed")
    assert json.loads(made.body)["model"] == "renamed"
    assert made.mode == "translated"
    assert made.request is not None
    assert made.request.model == "gpt-x"


def test_a_variant_of_the_clients_format_is_edited_and_relayed() -> None:
    made = plan(glm.PROVIDER, model="glm-4.6", fields={"seed": 5, "temperature": 2})
    sent = json.loads(made.body)
    assert (sent["model"], sent["temperature"]) == ("glm-4.6", 1.0)
    assert "temperature" in made.dropped
    assert made.mode == "raw"


def test_what_must_be_put_right_in_the_answer_makes_an_edited_request_a_translated_one() -> None:
    made = plan(glm.PROVIDER, model="glm-4.6", fields={"stop": ["a", "b"]})
    assert made.stops
    assert made.mode == "translated"


@pytest.mark.parametrize(
    ("provider", "fields", "error"),
    [
        (MESSAGES, {"n": 2}, Unrepresentable),
        (MESSAGES, {"messages": [{"role": "user"}]}, BadRequest),
        (glm.PROVIDER, {"n": 2}, Unrepresentable),
    ],
)
def test_what_cannot_be_carried_is_refused(
    provider: Provider, fields: dict[str, Json], error: type[BadRequest]
) -> None:
    with pytest.raises(error):
        plan(provider, fields=fields)


def test_many_names_of_dropped_fields_fit_into_a_header() -> None:
    made = plan(MESSAGES, fields={f"field_{number}": number for number in range(1000)})
    assert len(made.dropped) == 1000
    assert len(made.dropped_names) < 1000


def test_a_whole_answer_passes_the_same_filters_as_a_stream() -> None:
    made = plan(MESSAGES)
    answer = ChatResponse(
        "id", "m", 1, (Text("one STOP two"),), FinishReason.STOP, extras={"chat": {"x": 1}}
    )
    assert filtered(made, answer) is answer
    stopping = Plan(made.route, made.client, made.offer, b"", stops=("STOP",))
    shown = filtered(stopping, answer)
    assert (shown.parts, shown.finish) == ((Text("one "),), FinishReason.STOP_SEQUENCE)
    assert shown.extras == answer.extras
    renaming = Plan(made.route, made.client, made.offer, b"", renamed=({"a_b": "a.b"}, {}))
    called = ChatResponse("id", "m", 1, (ToolCall("c", "a_b", "{}"),), FinishReason.TOOL_CALLS)
    assert filtered(renaming, called).parts == (ToolCall("c", "a.b", "{}"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "custom", "custom": {"name": "sh", "description": "d"}}]},
        {"functions": [{"name": "sh", "description": "d"}]},
    ],
    ids=["free text", "legacy"],
)
def test_tools_that_a_variant_lacks_are_said_as_those_it_has(fields: dict[str, Json]) -> None:
    made = plan(glm.PROVIDER, model="glm-4.6", fields=fields)
    tools = json.loads(made.body)["tools"]
    assert [(tool["type"], tool["function"]["name"]) for tool in tools] == [("function", "sh")]
    assert made.mode == "translated"


def test_what_no_words_can_say_is_refused_in_the_variants_own() -> None:
    with pytest.raises(Unrepresentable, match="GLM gives one answer only"):
        plan(glm.PROVIDER, model="glm-4.6", fields={"n": 2})
