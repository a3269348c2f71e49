"""Which project an account's calls belong to."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.account import Account, AuthType
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from providers.antigravity.discovery import ProjectDiscovery
from providers.base import Step

ACCOUNT = Account("a", "antigravity", "a", AuthType.OAUTH)
DISCOVERY = ProjectDiscovery()
FREE: JsonObject = {"id": "free-tier", "isDefault": True}
DONE: JsonObject = {"done": True, "response": {"cloudaicompanionProject": {"id": "new-1"}}}
UNVERIFIED: JsonObject = {
    "reasonCode": "VALIDATION_REQUIRED",
    "validationUrl": "https://accounts.google.com/verify?x=1",
}
OPERATION: JsonObject = {"name": "operations/op-1", "done": False}


@dataclass
class Walk:
    """A discovery over given answers: what was called, and what came of it."""

    answers: Sequence[JsonObject | UpstreamError]
    steps: list[Step] = field(default_factory=list)

    def run(self) -> JsonObject:
        walk = DISCOVERY.steps(ACCOUNT)
        step = next(walk)
        for answer in self.answers:
            self.steps.append(step)
            try:
                if isinstance(answer, UpstreamError):
                    step = walk.throw(answer)
                else:
                    step = walk.send(answer)
            except StopIteration as end:
                found: JsonObject = end.value
                return found
        raise AssertionError("it wants more answers")

    @property
    def calls(self) -> list[str]:
        return [f"{step.method} {step.path}" for step in self.steps]


LOAD, ONBOARD, POLL = (
    "POST /v1internal:loadCodeAssist",
    "POST /v1internal:onboardUser",
    "GET /v1internal/operations/op-1",
)


def test_an_account_whose_project_is_known_needs_nothing() -> None:
    known = Account("a", "antigravity", "a", AuthType.OAUTH, metadata={"project_id": "p"})
    assert not DISCOVERY.is_needed(known)
    assert DISCOVERY.is_needed(ACCOUNT)


@pytest.mark.parametrize("project", ["old-1", {"id": "old-1"}])
def test_an_account_that_is_in_has_its_project(project: Json) -> None:
    walk = Walk([{"currentTier": {"id": "free-tier"}, "cloudaicompanionProject": project}])
    assert walk.run() == {"project_id": "old-1"}
    assert walk.calls == [LOAD]


def test_we_say_that_we_are_none_of_their_programs() -> None:
    walk = Walk([{"allowedTiers": [FREE]}, DONE])
    walk.run()
    for step in walk.steps:
        assert step.payload is not None
        assert step.payload["metadata"] == {
            "ideType": "IDE_UNSPECIFIED",
            "platform": "PLATFORM_UNSPECIFIED",
            "pluginType": "GEMINI",
        }


@pytest.mark.parametrize(
    ("tiers", "tier"),
    [
        pytest.param([{"id": "standard-tier"}, FREE], "free-tier", id="the default one"),
        pytest.param([{"id": "standard-tier"}], "legacy-tier", id="none is the default"),
        pytest.param([{"isDefault": True}, 5], "legacy-tier", id="without a name"),
    ],
)
def test_a_new_account_is_let_in_and_the_operation_asked_after(tiers: Json, tier: str) -> None:
    walk = Walk([{"allowedTiers": tiers}, OPERATION, OPERATION, DONE])
    assert walk.run() == {"project_id": "new-1"}
    assert walk.calls == [LOAD, ONBOARD, POLL, POLL]
    asked = walk.steps[1].payload
    assert asked is not None
    assert asked["tierId"] == tier
    assert "cloudaicompanionProject" not in asked
    assert [step.pause_s for step in walk.steps] == [0.0, 0.0, 1.0, 1.0]


def test_an_operation_that_never_ends_is_given_up() -> None:
    walk = Walk([{}, *([OPERATION] * 40)])
    with pytest.raises(UpstreamError) as caught:
        walk.run()
    assert (caught.value.blame, caught.value.kind) == (Blame.ACCOUNT, ErrorKind.TIMEOUT)
    assert sum(step.pause_s for step in walk.steps) <= 120


@pytest.mark.parametrize("name", ["", "operations/../../x", "x y", "//evil", 5, "operations/a?b"])
def test_only_operations_are_asked_after(name: Json) -> None:
    walk = Walk([{}, {"name": name}])
    with pytest.raises(UpstreamError):
        walk.run()
    assert walk.calls == [LOAD, ONBOARD]


@pytest.mark.parametrize(
    "loaded",
    [
        pytest.param({"ineligibleTiers": [UNVERIFIED]}, id="not in yet"),
        pytest.param({"currentTier": {"id": "x"}, "ineligibleTiers": [UNVERIFIED]}, id="in"),
    ],
)
def test_the_operator_and_nobody_else_is_told_where_to_verify(loaded: JsonObject) -> None:
    with pytest.raises(UpstreamError) as caught:
        Walk([loaded]).run()
    error = caught.value
    assert (error.blame, error.kind) == (Blame.ACCOUNT, ErrorKind.PERMISSION)
    assert error.remedy is not None
    assert "https://accounts.google.com/verify?x=1" in error.remedy
    assert "http" not in error.message


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([{"currentTier": {"id": "standard-tier"}}], id="a tier and none"),
        pytest.param([{}, {"done": True, "response": {}}], id="let in without"),
        pytest.param([{}, {"done": True, "error": {"message": "no"}}], id="not let in"),
    ],
)
def test_without_a_project_the_operator_has_to_name_one(answers: list[JsonObject]) -> None:
    with pytest.raises(UpstreamError, match="project_id") as caught:
        Walk(answers).run()
    assert caught.value.blame is Blame.ACCOUNT


def test_a_hidden_tier_is_a_tier() -> None:
    hidden = UpstreamError("hidden", vendor_code="SECURITY_POLICY_VIOLATED")
    with pytest.raises(UpstreamError, match="project_id"):
        Walk([hidden]).run()
    with pytest.raises(UpstreamError, match="away"):
        Walk([UpstreamError("away", vendor_code="UNAVAILABLE")]).run()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "allowedTiers",
        "cloudaicompanionProject",
        "currentTier",
        "done",
        "id",
        "ineligibleTiers",
        "isDefault",
        "name",
        "reasonCode",
        "response",
        "validationUrl",
    ]
)
ANSWERS = st.lists(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)), max_size=4)


@given(ANSWERS)
def test_no_answer_makes_it_fail_in_another_way(answers: list[JsonObject]) -> None:
    walk = Walk([*answers, *([DONE] * 3)])
    with suppress(UpstreamError):
        assert set(walk.run()) == {"project_id"}
    assert all(re.fullmatch(r"/v1internal[:/][\w./-]+", step.path) for step in walk.steps)
