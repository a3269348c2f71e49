"""Which models Code Assist has for an account, and which of them are used up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.account import Account, AuthType
from models.json_types import Json, JsonObject
from providers.antigravity.models import AvailableModels

LIST = AvailableModels()
RESET, RESET_AT = "2026-01-02T03:04:05Z", 1_767_323_045.0


@pytest.mark.parametrize(
    ("metadata", "payload"), [({}, {}), ({"project_id": "p-1"}, {"project": "p-1"})]
)
def test_the_list_is_asked_for_on_behalf_of_the_project(
    metadata: JsonObject, payload: JsonObject
) -> None:
    step = LIST.request(Account("a", "antigravity", "a", AuthType.OAUTH, metadata=metadata))
    assert (step.method, step.path) == ("POST", "/v1internal:fetchAvailableModels")
    assert step.payload == payload


def test_models_of_the_editors_own_features_are_hidden() -> None:
    payload: JsonObject = {
        "models": {
            "gemini-3-pro-high": {"displayName": "Gemini 3 Pro (High)"},
            "claude-sonnet-4-6": {},
            "chat_20706": {"displayName": "c"},
            "tab_flash_lite": {},
            "4711": {},
            "broken": None,
        }
    }
    assert [(one.id, one.display_name) for one in LIST.read(payload)] == [
        ("gemini-3-pro-high", "Gemini 3 Pro (High)"),
        ("claude-sonnet-4-6", None),
    ]


@pytest.mark.parametrize(
    ("quota", "is_used_up"),
    [
        pytest.param({"remainingFraction": 0, "resetTime": RESET}, True, id="nothing left"),
        pytest.param({"remainingFraction": "0.0", "resetTime": RESET}, True, id="as text"),
        pytest.param({"resetTime": RESET}, True, id="a zero is left out"),
        pytest.param(
            {"remainingFraction": 0.5, "isExhausted": True, "resetTime": RESET}, True, id="said so"
        ),
        pytest.param({"remainingFraction": 0.01, "resetTime": RESET}, False, id="a little left"),
        pytest.param({"remainingFraction": "0.4", "resetTime": RESET}, False, id="some, as text"),
        pytest.param({"remainingFraction": "x", "resetTime": RESET}, False, id="not a number"),
        pytest.param({"remainingFraction": 10**400, "resetTime": RESET}, False, id="huge"),
        pytest.param({"remainingFraction": 0}, False, id="no time"),
        pytest.param({"remainingFraction": 0, "resetTime": "soon"}, False, id="no such time"),
        pytest.param({}, False, id="nothing said"),
    ],
)
def test_a_model_with_nothing_left_is_told_with_its_reset(quota: Json, is_used_up: bool) -> None:
    payload: JsonObject = {"models": {"m": {"quotaInfo": quota}, "other": {}}}
    assert LIST.used_up(payload) == ({"m": RESET_AT} if is_used_up else {})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(JSON, JSON)
def test_other_shapes_give_nothing_and_do_no_harm(models: Json, quota: Json) -> None:
    payloads: list[JsonObject] = [{"models": models}, {"models": {"m": {"quotaInfo": quota}}}]
    for payload in payloads:
        assert isinstance(LIST.read(payload), list)
        assert isinstance(LIST.used_up(payload), dict)
