import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.arguments import arguments_text, read_arguments, read_cut_arguments
from models.json_types import Json, JsonObject


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a":', {"_raw": '{"a":'}),
        ("null", {"_raw": "null"}),
        ('"x"', {"_raw": '"x"'}),
        ('{"n":123456789012345678901}', {"n": 123456789012345678901}),
    ],
)
def test_text_becomes_an_object(text: str, expected: JsonObject) -> None:
    assert read_arguments(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":"b', {"a": "b"}),
        ('{"a":"b\\', {"a": "b"}),
        ('{"a":"b","c', {"a": "b"}),
        ('{"a":"b","c":', {"a": "b"}),
        ('{"a":[1,{"b":tr', {"a": [1, {}]}),
        ('{"a":[1,2', {"a": [1, 2]}),
        ('{"a":"x, {","b":1', {"a": "x, {", "b": 1}),
        ("{", {}),
        ('{"a":"\\u12', {}),
        ("[1", {"_raw": "[1"}),
        ("nonsense", {"_raw": "nonsense"}),
    ],
)
def test_cut_text_is_completed_with_what_was_whole(text: str, expected: JsonObject) -> None:
    assert read_cut_arguments(text) == expected


values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=3), st.integers(0, 200))
def test_any_cut_gives_an_object(arguments: JsonObject, cut: int) -> None:
    text = arguments_text(arguments)
    assert isinstance(read_cut_arguments(text[:cut]), dict)
    if cut >= len(text):
        assert read_cut_arguments(text[:cut]) == arguments


@given(st.text())
def test_text_that_travels_as_raw_comes_back_as_it_was(text: str) -> None:
    given_text = text if text.strip() else "x"
    back = arguments_text(read_arguments(given_text))
    assert back == given_text or orjson.loads(back) == orjson.loads(given_text)


def test_a_parameter_that_is_called_raw_stays_one() -> None:
    arguments: JsonObject = {"_raw": '{"a":1}'}
    assert orjson.loads(arguments_text(arguments)) == arguments
