"""Whatever a client sends: a request that fits Google's types, or a BadRequest."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from dialects.fields import dumps
from dialects.gemini import GEMINI, GEMINI_COUNT
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from tests.dialects.gemini.support import CLAUDE, MIDDLE, NEW, OLD, fits_google

# No object with a key: as a part or a tool it would pass as what only Google knows.
scalars: st.SearchStrategy[Json] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "5", [], {}, ["x"]]
)
signatures = st.sampled_from(["QUJD", "-_8", "Z3cxLmFudGhyb3BpYy5leUp6SWpvaVJYRlJRaUo5", "!", ""])
BLOB: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
calls = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "1.x"]) | scalars},
    optional={"id": st.sampled_from(["a", "b"]) | scalars, "args": scalars | st.just({"a": 1})},
)
responses = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "1.x"])},
    optional={
        "id": st.sampled_from(["a", "b"]),
        "response": st.sampled_from([{"output": "x"}, {"error": [1]}, {}]) | scalars,
        "parts": st.lists(st.just(BLOB), max_size=1),
    },
)
parts = st.one_of(
    st.fixed_dictionaries(
        {"text": st.sampled_from(["", " ", "x"]) | scalars},
        optional={"thought": st.booleans() | scalars, "thoughtSignature": signatures | scalars},
    ),
    st.fixed_dictionaries({"functionCall": calls}, optional={"thought_signature": signatures}),
    st.fixed_dictionaries({"functionResponse": responses}),
    st.fixed_dictionaries({"function_response": responses}),
    st.builds(lambda value: {"inline_data": {"mime_type": "image/png", "data": value}}, scalars),
    st.builds(lambda value: {"fileData": {"fileUri": value}}, scalars),
    scalars,
)
contents = st.fixed_dictionaries(
    {"parts": st.lists(parts, max_size=3) | scalars},
    optional={"role": st.sampled_from(["user", "model", "function"]) | scalars},
)
tools = st.builds(
    lambda name, schema: {"functionDeclarations": [{"name": name, "parameters": schema}]},
    st.sampled_from(["f", "1.x"]),
    st.sampled_from(
        [{"type": "OBJECT", "properties": {"a b": {"type": "STRING", "nullable": True}}}, {}, None]
    ),
)
configs = st.dictionaries(
    st.sampled_from(
        ["maxOutputTokens", "stop_sequences", "temperature", "topK", "seed", "thinkingConfig",
         "responseMimeType", "responseSchema", "candidateCount"]
    ),
    scalars,
    max_size=3,
)  # fmt: skip
bodies = st.fixed_dictionaries(
    {"contents": st.lists(contents, max_size=4) | scalars},
    optional={
        "tools": st.lists(tools, max_size=2) | scalars,
        "toolConfig": st.builds(
            lambda mode: {"functionCallingConfig": {"mode": mode}},
            st.sampled_from(["ANY", "none", 9, 1, []]),
        )
        | scalars,
        "generationConfig": configs | scalars,
        "system_instruction": contents | scalars,
        "labels": scalars,
    },
)


@given(bodies)
def test_any_body_is_read_or_refused(body: JsonObject) -> None:
    address = {"model": "m", "method": "generateContent"}
    try:
        GEMINI.inspect(dumps(body), body, address)
        request = GEMINI.decode_request(body)
    except BadRequest:
        return
    for profile in (NEW, MIDDLE, OLD, CLAUDE):
        try:
            encoded = GEMINI.encode_request(request, profile)
        except BadRequest:
            continue
        own = {"labels", "generationConfig"} & set(encoded.payload)
        fits_google({key: encoded.payload[key] for key in encoded.payload.keys() - own})
        dumps(encoded.payload)


@given(bodies | st.builds(lambda body: {"generateContentRequest": body}, bodies))
def test_any_count_is_read_or_refused(body: JsonObject) -> None:
    with contextlib.suppress(BadRequest):
        GEMINI_COUNT.inspect(dumps(body), body, {"model": "m"})
        GEMINI_COUNT.encode_request(GEMINI_COUNT.decode_request(body), NEW)
