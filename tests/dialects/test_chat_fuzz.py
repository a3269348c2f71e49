"""Whatever comes as a request, a client gets an answer or a reason."""

import json

from hypothesis import given
from hypothesis import strategies as st

from dialects.fields import dumps, parse_object
from dialects.openai_chat import CHAT
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from providers.glm import PROVIDER as GLM
from providers.openai import profile

KEYS = [
    "arguments",
    "content",
    "custom",
    "data",
    "file",
    "file_data",
    "format",
    "function",
    "function_call",
    "id",
    "image_url",
    "include_usage",
    "json_schema",
    "mode",
    "name",
    "parameters",
    "properties",
    "role",
    "schema",
    "text",
    "tool_call_id",
    "tool_calls",
    "tools",
    "type",
    "url",
]
WORDS = [
    "",
    "allowed_tools",
    "assistant",
    "auto",
    "custom",
    "data:image/png;base64,QUJD",
    "file",
    "function",
    "high",
    "https://x.test/a",
    "image_url",
    "json_schema",
    "object",
    "required",
    "system",
    "text",
    "tool",
    "user",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)
FIELDS = [
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_p",
    "user",
    "x",
]
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
        optional=dict.fromkeys(["content", "tool_calls", "function_call", "tool_call_id"], JSON),
    ),
    min_size=1,
    max_size=4,
)
REQUESTS = st.builds(
    lambda rest, messages: {"model": "gpt-5", **rest, "messages": messages},
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
    MESSAGES | JSON,
)


@given(REQUESTS)
def test_a_request_is_translated_or_refused(payload: JsonObject) -> None:
    try:
        request = CHAT.decode_request(payload)
        for model in ("gpt-5", "gpt-4o", "any"):
            json.loads(dumps(CHAT.encode_request(request, profile(model)).payload))
    except BadRequest as error:
        assert error.status == 400  # noqa: PT017 - most examples are refused, some are not


@given(REQUESTS)
def test_glm_gets_an_edited_copy_or_the_client_a_reason(payload: JsonObject) -> None:
    assert GLM.main.adapt is not None
    before = json.dumps(payload)
    try:
        encoded = GLM.main.adapt(payload, GLM.main.profile("glm-5.2"))
        json.loads(dumps(encoded.payload))
    except BadRequest as error:
        assert error.status == 400  # noqa: PT017 - most examples are refused, some are not
    assert json.dumps(payload) == before


@given(st.dictionaries(st.sampled_from([*FIELDS, "model", "messages"]), JSON))
def test_the_raw_path_reads_or_refuses(payload: JsonObject) -> None:
    body = dumps(payload)
    parsed = parse_object(body)
    try:
        inspected = CHAT.inspect(body, parsed)
    except BadRequest:
        return
    spliced, asked = CHAT.prepare_raw(body, parsed, "other", ask_usage=True)
    expected: dict[str, Json] = {**parsed, "model": "other"}
    if asked:
        options = parsed.get("stream_options")
        known = options if isinstance(options, dict) else {}
        expected["stream_options"] = {**known, "include_usage": True}
        assert inspected.stream
    assert json.loads(spliced) == json.loads(dumps(expected))
