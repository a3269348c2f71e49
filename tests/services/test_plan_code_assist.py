"""Gemini's clients and Code Assist: Google's models get their bodies, Claude's are written anew."""

import json
from dataclasses import replace

import pytest

from dialects.gemini import GEMINI
from dialects.gemini.signed import written_signature
from models.content import Reasoning
from models.json_types import Json, JsonObject
from providers import antigravity
from providers.base import Route
from services.plan import Plan, make_plan
from tests.services.executor_rig import make_request

HI: Json = {"role": "user", "parts": [{"text": "Hi"}]}
CALL: JsonObject = {"functionCall": {"name": "f", "args": {}}}
ANSWER: Json = {
    "role": "user",
    "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}],
}


def planned(model: str, fields: JsonObject) -> tuple[Plan, JsonObject]:
    payload: JsonObject = {"contents": [HI], **fields}
    request = replace(
        make_request("gemini", model), payload=payload, body=json.dumps(payload).encode()
    )
    plan = make_plan(request, GEMINI, Route(antigravity.PROVIDER, model), wants_usage=True)
    sent: JsonObject = json.loads(plan.body)
    return plan, sent


def signed(signature: str, vendor: str) -> str:
    """Return a signature of a thought as a Gemini client carries it."""
    return written_signature(Reasoning("", signature, vendor)) or ""


def turn(signature: str | None, **part: Json) -> JsonObject:
    signed: JsonObject = {} if signature is None else {"thoughtSignature": signature}
    return {"contents": [HI, {"role": "model", "parts": [{**CALL, **part, **signed}]}, ANSWER]}


def test_googles_models_get_what_the_client_wrote_and_it_their_answer() -> None:
    tools: Json = [{"googleSearch": {}}]
    plan, sent = planned("gemini-3-pro", {"tools": tools, "safety_settings": [{"a": 1}]})
    assert (plan.mode, plan.dropped) == ("raw", ("safetySettings",))
    assert (sent["contents"], sent["tools"]) == ([HI], tools)


def test_signatures_of_google_pass_and_those_of_others_do_not() -> None:
    _, own = planned("gemini-3-pro", turn("R09PR0xF"))
    assert own["contents"] == turn("R09PR0xF")["contents"]
    _, other = planned("gemini-3-pro", turn(signed("CLAUDE", "claude-ca")))
    assert "CLAUDE" not in json.dumps(other)
    assert signed("CLAUDE", "claude-ca") not in json.dumps(other)


@pytest.mark.parametrize(
    ("signature", "sent_signature"),
    [
        pytest.param(signed("Q0xBVURF", "claude-ca"), "Q0xBVURF", id="its own"),
        pytest.param("R09PR0xF", None, id="of Google"),
        pytest.param(signed("T1RIRVI=", "anthropic"), None, id="of Anthropic"),
    ],
)
def test_claude_gets_its_own_thoughts_back_and_nobody_elses(
    signature: str, sent_signature: str | None
) -> None:
    thought: Json = {"text": "t", "thought": True, "thoughtSignature": signature}
    contents: Json = [HI, {"role": "model", "parts": [thought, CALL]}, ANSWER]
    plan, sent = planned("claude-sonnet-4-6-thinking", {"contents": contents})
    assert plan.mode == "translated"
    written = sent["contents"]
    assert isinstance(written, list)
    model: Json = written[1]
    assert isinstance(model, dict)
    parts = model["parts"]
    assert isinstance(parts, list)
    signatures = [part.get("thoughtSignature") for part in parts if isinstance(part, dict)]
    assert signatures == ([sent_signature, None] if sent_signature else [None])
    ids = [part["functionCall"]["id"] for part in parts if "functionCall" in part]  # type: ignore[index, call-overload, operator]
    assert all(ids)


def test_claude_gets_the_schemas_that_it_takes() -> None:
    declared: Json = [
        {
            "functionDeclarations": [
                {"name": "f", "parametersJsonSchema": {"type": "object", "$schema": "x"}}
            ]
        }
    ]
    plan, sent = planned("claude-sonnet-4-6", {"tools": declared})
    text = json.dumps(sent["tools"])
    assert "parametersJsonSchema" not in text
    assert "$schema" not in text
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert plan.renamed is not None  # what was added to it is taken out again
