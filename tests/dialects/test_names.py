import re

from hypothesis import given
from hypothesis import strategies as st

from dialects.names import changed_names, wire_id, wire_names

_ACCEPTED = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def test_names_that_are_fine_stay() -> None:
    assert wire_names(["get_weather", "a-b"]) == {"get_weather": "get_weather", "a-b": "a-b"}
    assert changed_names(wire_names(["a"])) == {}


def test_names_that_fall_together_are_told_apart() -> None:
    names = wire_names(["a.b", "a_b", "a/b"])
    assert names == {"a_b": "a_b", "a.b": "a_b_2", "a/b": "a_b_3"}
    assert changed_names(names) == {"a_b_2": "a.b", "a_b_3": "a/b"}


def test_long_names_are_cut_and_stay_apart() -> None:
    names = wire_names(["x" * 70, "x" * 71])
    assert sorted(len(name) for name in names.values()) == [64, 64]
    assert len(set(names.values())) == 2


@given(st.lists(st.text(max_size=90), max_size=12))
def test_every_name_has_its_own_accepted_form(names: list[str]) -> None:
    accepted = wire_names(names)
    assert set(accepted) == set(names)
    assert len(set(accepted.values())) == len(set(names))
    assert all(_ACCEPTED.fullmatch(name) for name in accepted.values())


@given(st.text(max_size=90))
def test_call_ids_fit_and_are_the_same_every_time(call_id: str) -> None:
    assert len(wire_id(call_id)) <= 40
    assert _ACCEPTED.fullmatch(wire_id(call_id))
    assert wire_id(call_id) == wire_id(call_id)


def test_call_ids_that_fit_stay() -> None:
    assert wire_id("toolu_1") == "toolu_1"
    assert wire_id("x" * 41) != wire_id("x" * 42)
