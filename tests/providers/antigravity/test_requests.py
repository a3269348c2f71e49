"""What Code Assist gets of a Gemini request."""

import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from dialects.spelling import spelled
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from models.profile import Profile
from providers.antigravity.profile import profile
from providers.antigravity.requests import adapt, adapt_count

GEMINI_3, CLAUDE = profile("gemini-3-pro-high"), profile("claude-sonnet-4-6-thinking")
HI: Json = {"role": "user", "parts": [{"text": "Hi"}]}


def adapted(fields: JsonObject, known: Profile = GEMINI_3) -> tuple[JsonObject, Sequence[str]]:
    payload: JsonObject = {"contents": [HI], **fields}
    before = json.dumps(payload)
    encoded = adapt(payload, known)
    assert json.dumps(payload) == before
    return encoded.payload, encoded.dropped


def test_what_the_service_does_not_know_is_left_out_and_told() -> None:
    payload, dropped = adapted(
        {
            "model": "models/x",
            "store": True,
            "safetySettings": [{"category": "c", "threshold": "t"}],
            "service_tier": "flex",
            "labels": {"a_b": "c"},
            "cached_content": "cachedContents/1",
            "generationConfig": {
                "seed": 1,
                "imageConfig": {},
                "enable_enhanced_civic_answers": True,
            },
        }
    )
    assert set(payload) == {"contents", "labels", "cachedContent", "generationConfig", "sessionId"}
    assert payload["labels"] == {"a_b": "c"}
    assert payload["generationConfig"] == {"seed": 1}
    assert set(dropped) == {
        "safetySettings",
        "service_tier",
        "generationConfig.imageConfig",
        "generationConfig.enableEnhancedCivicAnswers",
    }


def test_models_that_make_images_keep_their_settings() -> None:
    config: JsonObject = {"imageConfig": {"aspectRatio": "1:1"}}
    payload, dropped = adapted({"generationConfig": config}, profile("gemini-3-pro-image"))
    assert (payload["generationConfig"], dropped) == (config, ())


@pytest.mark.parametrize(
    ("limit", "sent", "dropped"),
    [
        (100, 100, ()),
        ("100", "100", ()),
        (65_536, 65_536, ()),
        (65_537, 65_536, ("max_tokens",)),
        ("999999999", 65_536, ("max_tokens",)),
    ],
)
def test_the_limit_of_tokens_is_kept_and_capped(
    limit: Json, sent: Json, dropped: tuple[str, ...]
) -> None:
    payload, told = adapted({"generation_config": {"max_output_tokens": limit}})
    assert payload["generationConfig"] == {"maxOutputTokens": sent}
    assert told == dropped


@pytest.mark.parametrize(
    "system",
    [
        "Be brief.",
        {"parts": [{"text": "Be brief."}]},
        {"role": "system", "parts": [{"text": "Be brief."}]},
    ],
)
def test_the_system_text_has_the_role_of_a_user(system: Json) -> None:
    payload, _ = adapted({"system_instruction": system})
    assert payload["systemInstruction"] == {"role": "user", "parts": [{"text": "Be brief."}]}


def test_thoughts_that_nobody_signed_stay_away() -> None:
    signed: Json = {"text": "b", "thought": True, "thoughtSignature": "QUJD"}
    call: Json = {"functionCall": {"name": "f", "args": {"thought": True}}}
    history: list[Json] = [
        HI,
        {"role": "model", "parts": [{"text": "a", "thought": True}, signed, call]},
        {"role": "model", "parts": [{"text": "only", "thought": True}]},
    ]
    payload, _ = adapted({"contents": history})
    assert payload["contents"] == [HI, {"role": "model", "parts": [signed, call]}]


def session_of(*contents: Json) -> Json:
    return adapted({"contents": list(contents)})[0].get("sessionId")


def test_a_conversation_keeps_its_session() -> None:
    answer: Json = {"role": "model", "parts": [{"text": "Hello"}]}
    first = session_of(HI)
    assert isinstance(first, str)
    assert re.fullmatch(r"-\d{1,19}", first)
    assert int(first) > -(1 << 63)
    assert session_of(HI, answer, {"role": "user", "parts": [{"text": "More"}]}) == first
    assert session_of({"parts": {"text": "Hi"}}) == first
    assert session_of({"role": "user", "parts": [{"text": "Ho"}]}) != first
    assert session_of({"role": "user", "parts": [{"inlineData": {}}]}) is None


@pytest.mark.parametrize(
    ("mode", "sent", "dropped"),
    [("AUTO", "VALIDATED", ()), ("ANY", "VALIDATED", ("tool_choice",)), ("NONE", "NONE", ())],
)
def test_claudes_calls_are_validated(mode: str, sent: str, dropped: tuple[str, ...]) -> None:
    calling: JsonObject = {"mode": mode, "allowedFunctionNames": ["f"]}
    payload, told = adapted({"toolConfig": {"functionCallingConfig": calling}}, CLAUDE)
    assert payload["toolConfig"] == {"functionCallingConfig": {**calling, "mode": sent}}
    assert told == dropped
    assert adapted({"toolConfig": {"functionCallingConfig": calling}})[0]["toolConfig"] == {
        "functionCallingConfig": calling
    }


def test_a_field_in_both_spellings_is_refused() -> None:
    with pytest.raises(BadRequest):
        adapted({"systemInstruction": "a", "system_instruction": "b"})


# --- counts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_count_is_of_contents_with_the_rest_as_text(is_whole: bool) -> None:
    tools: list[Json] = [{"functionDeclarations": [{"name": "f"}]}]
    thought: Json = {"text": "t", "thought": True, "thoughtSignature": "QUJD"}
    model: Json = {"role": "model", "parts": [thought, {"text": "Hello"}]}
    request: JsonObject = {
        "model": "models/x",
        "contents": [HI, model],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": tools,
        "toolConfig": {},
    }
    payload = {"generateContentRequest": request} if is_whole else request
    assert adapt_count(dict(payload), CLAUDE).payload == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Be brief."},
                    {"text": '[{"functionDeclarations":[{"name":"f"}]}]'},
                ],
            },
            HI,
            {"role": "model", "parts": [{"text": "Hello"}]},
        ]
    }


def test_a_plain_count_stays_as_it_is() -> None:
    assert adapt_count({"contents": [HI]}, GEMINI_3).payload == {"contents": [HI]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "contents",
        "functionCallingConfig",
        "generationConfig",
        "generateContentRequest",
        "generation_config",
        "maxOutputTokens",
        "mode",
        "parts",
        "role",
        "systemInstruction",
        "text",
        "thought",
        "toolConfig",
    ]
)
BODIES = st.recursive(
    JSON, lambda inner: st.dictionaries(FIELDS, inner) | st.lists(inner, max_size=2), max_leaves=12
)


@given(st.dictionaries(FIELDS, BODIES))
def test_no_body_is_too_odd(payload: JsonObject) -> None:
    for known in (GEMINI_3, CLAUDE):
        for edit in (adapt, adapt_count):
            try:
                written = edit(payload, known)
            except BadRequest:
                continue
            assert isinstance(written.payload["contents"], list)
            assert spelled(written.dropped, payload, GEMINI.spellings) is not None
