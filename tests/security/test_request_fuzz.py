"""Requests changed at random: each is planned for its provider or refused, at a bounded cost."""

import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from dialects.fields import parse_object
from models.errors import BadRequest, GatewayError
from models.exchange import ProxyRequest
from providers import BUILTIN
from providers.base import Route
from services.plan import Plan, make_plan
from tests.e2e.harness import MODELS, Rig, open_rig
from tests.fakes.provider import Kind
from tests.security.requests import PATHS, PLAIN, RICH, Place, places, replaced, value_at
from tests.security.shapes import error_of, failures_in

PROVIDERS = {provider.id: provider for provider in BUILTIN}
KINDS: tuple[Kind, ...] = ("messages", "chat", "glm")
# Words that mean something at some place or other.
WORDS = sorted(
    {
        word
        for rich in RICH.values()
        for at in places(rich)
        for word in (at[-1], value_at(rich, at))
        if isinstance(word, str)
    }
    | {"enabled", "disabled", "adaptive", "custom", "function", "json_object", "tool", "any"}
    | {"$ref", "#/$defs/a", "$defs", "anyOf", "allOf", "null", "array", "enum", "const", "items"}
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        for kind in KINDS:
            await opened.add_provider(kind)
        caplog.set_level(logging.DEBUG)
        yield opened


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A valid request of which a few values became something else, or were left out."""
    dialect = draw(st.sampled_from(sorted(PATHS)))
    request: Any = draw(st.sampled_from([RICH[dialect], PLAIN[dialect]]))
    for _ in range(draw(st.integers(1, 4))):
        request = _changed_once(draw, request)
    return dialect, request


def _changed_once(draw: st.DrawFn, request: Any) -> Any:  # noqa: ANN401 - JSON
    every = list(places(request))
    if not every:
        return request
    at: Place = draw(st.sampled_from(every))
    match draw(st.sampled_from(["any", "any", "swap", "wrap", "repeat"])):
        case "swap":
            new = value_at(request, draw(st.sampled_from(every)))
        case "wrap":
            new = [value_at(request, at)]
        case "repeat":
            old = value_at(request, at)
            new = [*old, *old] if isinstance(old, list) else [old, old]
        case _:
            new = draw(ANY_JSON)
    return replaced(request, at, new)


def planned(body: bytes, dialect: str, provider_id: str) -> Plan:
    """Do with a body what the gateway does before it calls a provider."""
    client = DIALECTS[dialect]
    payload = parse_object(body)
    asked = client.inspect(body, payload)
    request = ProxyRequest(
        "0" * 32, None, dialect, asked.model, asked.stream, body, payload, {}, "key", 0.0, 0.0
    )
    return make_plan(request, client, Route(PROVIDERS[provider_id], "m-1"), wants_usage=True)


@pytest.mark.parametrize("provider_id", ["anthropic", "openai", "glm"])
@hypothesis.settings(max_examples=400)
@given(changed())
def test_a_changed_request_is_planned_or_refused(
    provider_id: str, case: tuple[str, dict[str, Any]]
) -> None:
    dialect, request = case
    try:
        plan = planned(json.dumps(request).encode(), dialect, provider_id)
    except GatewayError as error:
        assert 400 <= error.status < 500  # noqa: PT017 - most examples are refused, some are not
        told = DIALECTS[dialect].encode_error(error, "rid")
        assert 400 <= told.status < 500
        error_of(PATHS[dialect], told.body)
        return
    sent = json.loads(plan.body)
    assert sent["model"] == "m-1"
    assert isinstance(sent["messages"], list)


@hypothesis.settings(
    max_examples=250, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(case=changed(), kind=st.sampled_from(KINDS))
async def test_a_changed_request_gets_an_answer_or_a_reason(
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
    kind: Kind,
    case: tuple[str, dict[str, Any]],
) -> None:
    dialect, request = case
    if isinstance(request.get("model"), str):
        request = {**request, "model": MODELS[kind]}
    response = await rig.post(PATHS[dialect], json.dumps(request).encode())
    body = await response.read()
    assert response.status == 200 or 400 <= response.status < 500, (request, body)
    if response.status != 200:
        assert json.loads(body)["error"]  # ours or, told as it came, the provider's
    assert failures_in(caplog) == []


# --- cost ---------------------------------------------------------------------------------------

_LIMIT_S = 6.0
"""CPU time, on any machine: what grows faster than its size takes minutes here."""


def _tool(dialect: str, schema: object) -> dict[str, object]:
    if dialect == "messages":
        return {"tools": [{"name": "t", "input_schema": schema}]}
    return {"tools": [{"type": "function", "function": {"name": "t", "parameters": schema}}]}


def _output(dialect: str, schema: object) -> dict[str, object]:
    if dialect == "messages":
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    shape = {"name": "n", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": shape}}


def _nested_types() -> object:
    schema: object = {"type": "string"}
    for _ in range(30):
        properties = {"a": schema}
        closed = {"properties": properties, "additionalProperties": False}
        schema = {"type": ["object"] * 4, **closed}
    return schema


def _chain(length: int) -> dict[str, object]:
    def link(to: int) -> dict[str, object]:
        properties = {"next": {"$ref": f"#/$defs/d{to}"}}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    return {**link(0), "$defs": {f"d{place}": link(place + 1) for place in range(length)}}


def _references(count: int) -> dict[str, object]:
    again = [{"$ref": "#/$defs/a"}] * count
    return {"$defs": {"a": {"anyOf": again}}, "anyOf": again}


SCHEMAS: dict[str, object] = {
    "types at every level": _nested_types(),
    "a chain of definitions": _chain(9_000),
    "references to itself": _references(400),
    "many required names": {"allOf": [{"required": [f"r{n}" for n in range(40_000)]}]},
    "many alternatives of one name": {
        "anyOf": [{"properties": {"a": {"const": number}}} for number in range(9_000)]
    },
    "odd names": {"type": "object", "properties": {"a": {}}, "required": [{}, [], 7, "a"]},
    "odd formats": {"type": "string", "format": {"a": []}},
}


def _histories(dialect: str) -> dict[str, dict[str, object]]:
    count = 9_000
    user = {"role": "user", "content": "x"}
    if dialect == "messages":
        calls = [
            {"type": "tool_use", "id": f"c{n}", "name": "f", "input": {}} for n in range(count)
        ]
        results = [
            {"type": "tool_result", "tool_use_id": f"c{n}", "content": "r"} for n in range(count)
        ]
        told = [user, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]
        stops: dict[str, object] = {"stop_sequences": [f"s{n}" for n in range(40_000)]}
        tools = [{"name": f"{'x' * 70}{n}", "input_schema": {}} for n in range(count)]
        return {"calls": {"messages": told}, "stops": stops, "tools": {"tools": tools}}
    function = {"name": "f", "arguments": "{}"}
    same = [{"id": "c", "type": "function", "function": function}] * count
    each = [{"id": f"c{n}", "type": "function", "function": function} for n in range(count)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in range(count)]
    old = [{"role": "assistant", "function_call": function}] * count
    answers = [{"role": "function", "name": "f", "content": "r"}] * count
    names = [{"type": "function", "function": {"name": f"{'x' * 70}{n}"}} for n in range(count)]
    return {
        "calls": {"messages": [user, {"role": "assistant", "tool_calls": each}, *results]},
        "calls of one id": {"messages": [user, {"role": "assistant", "tool_calls": same}]},
        "legacy calls": {"messages": [user, *old, *answers]},
        "stops": {"stop": [f"s{n}" for n in range(40_000)]},
        "tools": {"tools": names},
    }


@pytest.mark.parametrize("provider_id", ["anthropic", "openai", "glm"])
@pytest.mark.parametrize("dialect", ["messages", "chat"])
def test_no_request_costs_more_than_its_size(dialect: str, provider_id: str) -> None:
    bodies = _histories(dialect)
    for name, schema in SCHEMAS.items():
        bodies[f"tool: {name}"] = _tool(dialect, schema)
        bodies[f"output: {name}"] = _output(dialect, schema)
    for name, fields in bodies.items():
        body = json.dumps({**PLAIN[dialect], **fields}).encode()
        began = time.process_time()
        try:
            planned(body, dialect, provider_id)
        except BadRequest:
            assert name  # refused is as good as planned
        assert time.process_time() - began < _LIMIT_S, name
