"""What Code Assist refuses: its envelope, and what Claude behind it does not take."""

from collections.abc import Sequence
from typing import Any

from tests.fakes.formats import gemini_rules, schemas
from tests.fakes.formats.base import Refused, Seen, need, stranger
from tests.fakes.formats.gemini import is_claude
from tests.fakes.scenarios import compact, is_signed

_ENVELOPE = frozenset(
    [
        "model",
        "project",
        "user_prompt_id",
        "request",
        "enabled_credit_types",
        "userAgent",
        "requestType",
        "requestId",
        "enabledCreditTypes",
    ]
)
_REQUEST = frozenset(
    [
        "contents",
        "systemInstruction",
        "cachedContent",
        "tools",
        "toolConfig",
        "labels",
        "safetySettings",
        "generationConfig",
        "session_id",
        "sessionId",
    ]
)


def check(seen: Seen) -> None:
    """Check `:generateContent` and `:streamGenerateContent`."""
    payload = seen.payload
    gemini_rules.known_fields(payload, _ENVELOPE, "")
    need(payload.get("project"), "project: required", 400)
    model = payload.get("model")
    need(isinstance(model, str) and model, "model: required")
    assert isinstance(model, str)
    need(not model.startswith("models/"), "Requested entity was not found.", 404)
    request = payload.get("request")
    need(isinstance(request, dict), "request: required")
    _check_request(payload["request"], model)


def check_count(seen: Seen) -> None:
    """Check `:countTokens`: model and contents, nothing else."""
    gemini_rules.known_fields(seen.payload, {"request"}, "")
    request = seen.payload.get("request") or {}
    gemini_rules.known_fields(request, {"model", "contents"}, "request")
    need(str(request.get("model", "")).startswith("models/"), "request.model: models/...")
    model = request["model"].removeprefix("models/")
    contents: Any = request.get("contents")
    need(contents, "contents is not specified")
    for content in contents:
        for part in content["parts"]:
            need(not (is_claude(model) and part.get("thought")), "thought is not accepted here")
    gemini_rules.check_request({"contents": contents}, model)


def check_onboarding(seen: Seen) -> None:
    """Check `:onboardUser`: the free tier takes no project."""
    tier = seen.payload.get("tierId")
    need(tier, "tierId: required")
    given = "cloudaicompanionProject" in seen.payload
    need(tier != "free-tier" or not given, "Precondition check failed.", 412)


def _check_request(request: dict[str, Any], model: str) -> None:
    gemini_rules.known_fields(request, _REQUEST, "request")
    ours = {"session_id", "sessionId", "labels"}
    inner = {name: value for name, value in request.items() if name not in ours}
    if is_claude(model):
        try:
            _check_claude(gemini_rules.camel(inner))
        except Refused as refused:
            raise Refused(_anthropic_words(refused.message)) from refused
        # The rest is as Google reads it, which is before Claude does.
        inner = {name: value for name, value in inner.items() if name != "tools"}
        inner.pop("toolConfig", None)
    gemini_rules.check_request(gemini_rules.camel(inner), model)


def _anthropic_words(message: str) -> str:
    """Errors of the model behind come as the text of Google's."""
    told = {"type": "invalid_request_error", "message": message}
    return compact({"type": "error", "error": told, "request_id": "req_vrtx_fake"})


def _check_claude(request: dict[str, Any]) -> None:
    declared = [
        one for tool in request.get("tools") or () for one in tool.get("functionDeclarations", ())
    ]
    for index, one in enumerate(declared):
        where = f"tools.{index}.custom"
        extra = stranger(one, {"name", "description", "parameters"})
        need(extra is None or "parameters" in one, f"{where}.input_schema: Field required")
        need("parameters" in one, f"{where}.input_schema: Field required")
        schemas.check_claude_ca(one["parameters"], where)
    calling = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if declared:
        need(calling.get("mode") in ("VALIDATED", "NONE"), "tool calls were not validated")
    config = request.get("generationConfig") or {}
    for name in ("presencePenalty", "frequencyPenalty", "seed"):
        need(name not in config, f"{name}: Extra inputs are not permitted")
    budget: Any = (config.get("thinkingConfig") or {}).get("thinkingBudget")
    is_on = budget not in (None, 0)
    if is_on:
        need(budget >= 1024, "thinking.enabled.budget_tokens: must be at least 1024")
        limit = config.get("maxOutputTokens")
        need(limit is None or budget < limit, "`max_tokens` must be greater than budget_tokens")
    _check_claude_contents(request["contents"], is_on)


def _check_claude_contents(contents: Sequence[dict[str, Any]], thinks: bool) -> None:
    for content in contents:
        for part in content["parts"]:
            if part.get("thought"):
                genuine = is_signed(part.get("thoughtSignature"), "claude-ca", part["text"])
                need(genuine, "messages: Invalid `signature` in `thinking` block")
            for name in ("functionCall", "functionResponse"):
                need(part.get(name, {"id": "x"}).get("id"), f"messages: {name} id: Field required")
            need(part.get("text") != "", "messages: text content blocks must be non-empty")
    answers = any("functionResponse" in part for part in contents[-1]["parts"])
    if thinks and answers:
        last = next(c for c in reversed(contents) if c.get("role") == "model")
        need(
            last["parts"][0].get("thought"),
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
        )
