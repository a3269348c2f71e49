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
    ("quota", "told"),
    [
        pytest.param({"remainingFraction": 0, "resetTime": RESET}, (1.0, RESET_AT), id="all used"),
        pytest.param({"remainingFraction": "0.0", "resetTime": RESET}, (1.0, RESET_AT), id="text"),
        pytest.param({"resetTime": RESET}, (1.0, RESET_AT), id="a zero is left out"),
        pytest.param(
            {"remainingFraction": 0.5, "isExhausted": True, "resetTime": RESET},
            (1.0, RESET_AT),
            id="said so",
        ),
        pytest.param({"remainingFraction": 0.25, "resetTime": RESET}, (0.75, RESET_AT), id="some"),
        pytest.param({"remainingFraction": "0.5"}, (0.5, None), id="some, without a time"),
        pytest.param({"remainingFraction": 7, "resetTime": "soon"}, (0.0, None), id="no such time"),
        pytest.param({"remainingFraction": "x", "resetTime": RESET}, None, id="not a number"),
        pytest.param({"remainingFraction": "NaN"}, None, id="no number"),
        pytest.param({"remainingFraction": 10**400, "resetTime": RESET}, None, id="huge"),
        pytest.param({}, None, id="nothing said"),
    ],
)
def test_what_a_list_tells_of_a_models_limit_is_read(
    quota: Json, told: tuple[float, float | None] | None
) -> None:
    payload: JsonObject = {"models": {"m": {"quotaInfo": quota}, "other": {}}}
    found = [(one.model, one.used_ratio, one.resets_at) for one in LIST.quotas(payload, 5.0)]
    assert found == ([("m", *told)] if told else [])
    for window in LIST.quotas(payload, 5.0):
        assert (window.account_id, window.source, window.updated_at) == ("", "probe", 5.0)


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
        assert isinstance(LIST.quotas(payload, 0.0), list)
