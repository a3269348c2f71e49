"""What Google refuses of a Gemini request."""

import re
from collections.abc import Sequence
from typing import Any

from tests.fakes.formats import gemini_tools
from tests.fakes.formats.base import Refused, Seen, need, stranger
from tests.fakes.formats.gemini import is_gemini_3
from tests.fakes.scenarios import is_signed

Content = dict[str, Any]
Part = dict[str, Any]

_FIELDS = frozenset(
    [
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "serviceTier",
        "store",
        "model",
    ]
)
_CONFIG = frozenset(
    [
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseModalities",
        "speechConfig",
        "imageConfig",
        "mediaResolution",
        "thinkingConfig",
        "enableEnhancedCivicAnswers",
    ]
)
_DATA = frozenset(
    [
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
    ]
)
_ABOUT = frozenset(
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"]
)
_INNER = {
    "inlineData": {"mimeType", "data", "displayName"},
    "fileData": {"fileUri", "mimeType"},
    "functionCall": {"id", "name", "args"},
    "functionResponse": {"id", "name", "response", "parts", "willContinue", "scheduling"},
}
# Documented for histories that another vendor's model made.
_NO_SIGNATURE = {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_LEVELS = {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}


def check(seen: Seen) -> None:
    """Check `:generateContent` and `:streamGenerateContent`."""
    check_request(camel(seen.payload), seen.model)


def check_count(seen: Seen) -> None:
    """Check `:countTokens`."""
    payload = camel(seen.payload)
    known_fields(payload, {"contents", "generateContentRequest"}, "")
    inner = payload.get("generateContentRequest")
    need(inner is None or "contents" not in payload, "contents and generateContentRequest")
    if inner is not None:
        need("model" in inner, "generateContentRequest.model: required")
    check_request(inner if inner is not None else payload, seen.model)


def known_fields(value: dict[str, Any], names: frozenset[str] | set[str], where: str) -> None:
    """Refuse a field that Google does not know."""
    extra = stranger(value, names)
    need(
        extra is None,
        f"Invalid JSON payload received. Unknown name \"{extra}\" at '{where}': Cannot find field.",
    )


def check_request(payload: dict[str, Any], model: str) -> None:
    """Check a request, which has camel-case names only."""
    known_fields(payload, _FIELDS, "")
    contents = payload.get("contents")
    need(contents, "* GenerateContentRequest.contents: contents is not specified")
    contents = contents if isinstance(contents, list) else [contents]
    for index, content in enumerate(contents):
        _check_content(content, f"contents[{index}]")
    system = payload.get("systemInstruction")
    if system is not None:
        known_fields(system, {"role", "parts"}, "system_instruction")
        need(system.get("parts"), "system_instruction.parts must not be empty")
        for part in system["parts"]:
            need(part.get("text"), "system_instruction: only text")
    _check_calls(_turns(contents))
    if is_gemini_3(model):
        _check_signatures(_turns(contents))
    _check_config(payload, model)
    gemini_tools.check(payload, model)


def camel(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the payload with camel-case names: both spellings are accepted."""
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    free = {"args", "response", "parametersJsonSchema", "responseJsonSchema", "properties"}
    spelled = {}
    for name, inner in value.items():
        words = name.split("_")
        new = words[0] + "".join(word.capitalize() for word in words[1:]) if words[0] else name
        spelled[new] = inner if new in free - {"properties"} else _camel_inner(new, inner)
    return spelled


def _camel_inner(name: str, inner: Any) -> Any:  # noqa: ANN401 - JSON
    if name == "properties" and isinstance(inner, dict):
        return {key: camel(schema) for key, schema in inner.items()}
    return camel(inner)


def _check_content(content: Content, where: str) -> None:
    known_fields(content, {"role", "parts"}, where)
    role = content.get("role", "user")
    need(role in ("user", "model", "function"), "Please use a valid role: user, model.")
    need(content.get("parts"), f"* GenerateContentRequest.{where}.parts: must not be empty")
    for index, part in enumerate(content["parts"]):
        _check_part(part, f"{where}.parts[{index}]")


def _check_part(part: Part, where: str) -> None:
    known_fields(part, _DATA | _ABOUT, where)
    given = [name for name in part if name in _DATA]
    has_one = len(given) == 1 and (part[given[0]] != "" or "thoughtSignature" in part)
    need(has_one, f"{where}.data: required oneof field 'data' must have one initialized field")
    kind = given[0]
    if kind in _INNER:
        known_fields(part[kind], _INNER[kind], f"{where}.{kind}")
    match kind:
        case "inlineData":
            need(_BASE64.fullmatch(part[kind]["data"]), f"{where}: Base64 decoding failed")
        case "functionCall":
            need(isinstance(part[kind].get("args", {}), dict), f"{where}.args: not a Struct")
            need(part[kind].get("name"), f"{where}.function_call.name: Name cannot be empty.")
        case "functionResponse":
            is_object = isinstance(part[kind].get("response"), dict)
            need(is_object, f"{where}.function_response.response: not a Struct")
            need(part[kind].get("name"), f"{where}.function_response.name: cannot be empty.")
        case _:
            pass


# --- calls and their signatures -----------------------------------------------------------------


def _turns(contents: Sequence[Content]) -> list[Content]:
    """Join what the model said in one go: Google's own clients replay a stream chunk by chunk."""
    turns: list[Content] = []
    for content in contents:
        if turns and content.get("role") == turns[-1].get("role") == "model":
            turns[-1] = {**content, "parts": [*turns[-1]["parts"], *content["parts"]]}
        else:
            turns.append(content)
    return turns


def _check_calls(contents: Sequence[Content]) -> None:
    waiting: list[dict[str, Any]] = []
    for index, content in enumerate(contents):
        calls = _inner(content, "functionCall")
        results = _inner(content, "functionResponse")
        if results or waiting:
            need(
                len(results) == len(waiting),
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn.",
            )
            _check_pairs(waiting, results)
        before = contents[index - 1].get("role", "user") if index else None
        need(
            not calls or before in ("user", "function"),
            "Please ensure that function call turn comes immediately after a user turn or after "
            "a function response turn.",
        )
        waiting = calls
    need(not waiting, "Please ensure that function response turn comes after a function call.")


def _check_pairs(calls: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
    for call, result in zip(calls, results, strict=True):
        names = (call["name"], result["name"])
        need(names[0] == names[1], f"function response {names[1]} for function call {names[0]}")
        ids = (call.get("id"), result.get("id"))
        need(ids[0] == ids[1], f"function response id {ids[1]} for function call {ids[0]}")


def _inner(content: Content, name: str) -> list[dict[str, Any]]:
    return [part[name] for part in content["parts"] if name in part]


def _check_signatures(contents: Sequence[Content]) -> None:
    """In the current turn the first call of each step must be signed, as it was returned."""
    starts = [
        index
        for index, content in enumerate(contents)
        if content.get("role", "user") == "user" and not _inner(content, "functionResponse")
    ]
    for index, content in enumerate(contents):
        is_current = index > (starts[-1] if starts else -1)
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and is_current:
            need(
                "thoughtSignature" in calls[0],
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly.",
            )
        for part in content["parts"]:
            _check_signature(part)


def _check_signature(part: Part) -> None:
    signature = part.get("thoughtSignature")
    if signature is None:
        return
    is_call = "functionCall" in part
    if is_call and signature in _NO_SIGNATURE:
        return
    content = part["functionCall"]["name"] if is_call else "text"
    need(is_signed(signature, "gemini", content), "Thought signature is not valid.")


# --- settings -----------------------------------------------------------------------------------


def _check_config(payload: dict[str, Any], model: str) -> None:
    config = payload.get("generationConfig") or {}
    known_fields(config, _CONFIG, "generation_config")
    stops = config.get("stopSequences") or ()
    need(len(stops) <= 5, "stop_sequences: must have at most 5")
    need(all(stops), "stop_sequences: must not be empty")
    need(config.get("maxOutputTokens", 1) >= 1, "max_output_tokens must be positive")
    wants_schema = "responseSchema" in config or "responseJsonSchema" in config
    mime = config.get("responseMimeType", "text/plain")
    need(mime != "text/plain" or not wants_schema, "response_mime_type must be application/json")
    if "responseSchema" in config:
        need("responseJsonSchema" not in config, "response_schema and response_json_schema")
    is_old = re.match(r"gemini-[12]", model) is not None
    functions = any("functionDeclarations" in tool for tool in payload.get("tools") or ())
    need(
        mime != "application/json" or not functions or not is_old,
        "Function calling with a response mime type: 'application/json' is unsupported",
    )
    _check_thinking(config.get("thinkingConfig") or {}, model)


def _check_thinking(thinking: dict[str, Any], model: str) -> None:
    known_fields(
        thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"}, "thinking_config"
    )
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    need(level is None or budget is None, "You can only set one of budget and level.")
    need(level is None or level.upper() in _LEVELS, f"Invalid value '{level}'")
    if re.match(r"gemini-(1|2\.0)", model) and thinking:
        raise Refused("Thinking is not enabled for this model")
    if model.startswith("gemini-2.5"):
        need(level is None, "Thinking level is not supported for this model.")
        low, high = (128, 32_768) if "pro" in model else (0, 24_576)
        fits = budget in (None, -1) or low <= budget <= high
        need(fits, f"The thinking budget {budget} is invalid. Choose between {low} and {high}.")
