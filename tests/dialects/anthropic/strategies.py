"""Requests and stream events of the Messages format, right and wrong."""

from typing import Any

from hypothesis import strategies as st

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
block_types = st.sampled_from(
    ["text", "image", "document", "search_result", "tool_use", "tool_result", "thinking",
     "redacted_thinking", "server_tool_use", "x"]
)  # fmt: skip
source_types = st.sampled_from(["base64", "url", "file", "text", "content", "x"])
blocks = st.fixed_dictionaries(
    {"type": block_types | json_values},
    optional={
        "text": st.text(max_size=3) | json_values,
        "thinking": st.text(max_size=3) | json_values,
        "signature": st.sampled_from(["", "gw1.", "gw1.x.y", "gw1.glm.eyJzIjoieCJ9"]) | json_values,
        "data": st.text(max_size=3) | json_values,
        "id": st.sampled_from(["a", "b", "c"]) | json_values,
        "tool_use_id": st.sampled_from(["a", "b", "c"]) | json_values,
        "name": st.text(max_size=3) | json_values,
        "input": json_values,
        "is_error": json_values,
        "title": json_values,
        "cache_control": json_values,
        "citations": json_values,
        "content": st.text(max_size=3)
        | st.lists(st.fixed_dictionaries({"type": block_types, "text": json_values}), max_size=2)
        | json_values,
        "source": st.fixed_dictionaries(
            {"type": source_types | json_values},
            optional={
                "data": st.text(max_size=3) | json_values,
                "media_type": st.sampled_from(["image/png", "text/plain"]) | json_values,
                "url": st.text(max_size=3) | json_values,
                "file_id": json_values,
                "content": json_values,
            },
        )
        | json_values,
    },
)
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]) | json_values,
        "content": st.text(max_size=3) | st.lists(blocks, max_size=3) | json_values,
    }
)
bodies = st.fixed_dictionaries(
    {"model": st.just("m") | json_values, "messages": st.lists(messages, max_size=4) | json_values},
    optional={
        "max_tokens": st.integers(-1, 5) | json_values,
        "stream": json_values,
        "system": st.lists(blocks, max_size=2) | json_values,
        "tools": st.lists(
            st.fixed_dictionaries(
                {"name": st.text(max_size=3) | json_values},
                optional={"type": json_values, "input_schema": json_values, "strict": json_values},
            ),
            max_size=2,
        )
        | json_values,
        "tool_choice": st.fixed_dictionaries({"type": st.sampled_from(["auto", "any", "tool"])})
        | json_values,
        "thinking": st.fixed_dictionaries(
            {"type": st.sampled_from(["enabled", "adaptive", "disabled"]) | json_values},
            optional={"budget_tokens": json_values, "display": json_values},
        )
        | json_values,
        "output_config": st.fixed_dictionaries(
            {}, optional={"effort": json_values, "format": json_values}
        )
        | json_values,
        "metadata": json_values,
        "stop_sequences": st.lists(st.text(max_size=2), max_size=2) | json_values,
        "temperature": json_values,
        "top_p": json_values,
        "top_k": json_values,
        "container": json_values,
    },
)

small_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
objects = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["text", "thinking", "tool_use", "redacted_thinking", "x", "text_delta",
             "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"]
        )
        | small_values
    },
    optional=dict.fromkeys(
        ("text", "thinking", "signature", "id", "name", "input", "partial_json", "citation",
         "data", "usage", "stop_reason", "stop_sequence", "message"),
        small_values,
    ),
)  # fmt: skip
told_events = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
             "message_delta", "message_stop", "ping", "error", "x"]
        )
        | small_values
    },
    optional={
        "message": objects | small_values,
        "content_block": objects | small_values,
        "delta": objects | small_values,
        "usage": small_values | st.dictionaries(st.sampled_from(["input_tokens"]), small_values),
        "error": objects | small_values,
        "index": small_values,
    },
)  # fmt: skip
