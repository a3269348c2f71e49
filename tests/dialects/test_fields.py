from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import fields
from models.errors import BadRequest
from models.json_types import Json, JsonObject

Reader = Callable[[JsonObject, str, str], object]


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (fields.text, 1, "a string"),
        (fields.text, None, "a string"),
        (fields.integer, True, "an integer"),
        (fields.integer, 1.0, "an integer"),
        (fields.optional_integer, False, "an integer"),
        (fields.optional_number, True, "a number"),
        (fields.optional_number, "1", "a number"),
        (fields.optional_bool, 0, "true or false"),
        (fields.items, {}, "a list"),
        (fields.mapping, [], "an object"),
        (fields.optional_mapping, "", "an object"),
    ],
)
def test_a_wrong_type_is_told_with_its_path(reader: Reader, value: Json, expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        reader({"content": value}, "content", "messages[2]")
    assert caught.value.message == f"messages[2].content: expected {expected}"
    assert caught.value.path == "messages[2].content"


def test_a_missing_field_is_told_as_missing() -> None:
    with pytest.raises(BadRequest, match=r"^model: required, expected a string$"):
        fields.text({}, "model")


def test_a_wrong_item_is_told_with_its_index() -> None:
    with pytest.raises(BadRequest, match=r"^messages\[1\]: expected an object$"):
        fields.objects({"messages": [{}, 1]}, "messages")
    with pytest.raises(BadRequest, match=r"^stop\[0\]: expected a string$"):
        fields.optional_texts({"stop": [1]}, "stop")


def test_null_counts_as_absent() -> None:
    payload: JsonObject = {"x": None}
    assert fields.optional_text(payload, "x") is None
    assert fields.optional_integer(payload, "x") is None
    assert fields.optional_number(payload, "x") is None
    assert fields.optional_bool(payload, "x") is None
    assert fields.optional_mapping(payload, "x") is None
    assert fields.optional_items(payload, "x") == []
    assert fields.optional_objects(payload, "x") == []
    assert fields.optional_texts(payload, "x") == []


def test_zero_false_and_empty_are_values() -> None:
    assert fields.optional_number({"x": 0}, "x") == 0
    assert fields.optional_bool({"x": False}, "x") is False
    assert fields.optional_text({"x": ""}, "x") == ""


def test_one_of_names_the_choices() -> None:
    assert fields.one_of("a", ("a", "b"), "kind") == "a"
    with pytest.raises(BadRequest, match=r"^kind: expected one of a, b$"):
        fields.one_of("c", ("a", "b"), "kind")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":1e999}', id="too large a float"),
        pytest.param(b"\xef\xbb\xbf{}", id="BOM"),
        pytest.param(b'{"a":"\xff"}', id="bad UTF-8"),
        pytest.param(b'{"a":"\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", id="200k deep"),
        pytest.param(b'{"a":1}{"b":2}', id="two documents"),
        pytest.param(b'{"a":"\n"}', id="raw newline in a string"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
    ],
)
def test_what_is_not_one_strict_json_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        fields.parse_object(body)


@pytest.mark.parametrize(
    "number",
    [
        b"123456789012345678901234567890",
        b"-99999999999999999999",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"9223372036854775807",
    ],
)
def test_integers_beyond_64_bits_stay_exact(number: bytes) -> None:
    body = b'{"a":[%b],"b":"\xc3\xa9"}' % number
    assert fields.dumps(fields.parse_object(body)) == body


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("number", [b"18446744073709551616", b"-9223372036854775809"])
def test_integers_stay_exact_wherever_they_stand(number: bytes, at: int) -> None:
    body = b'{"%b":%b}' % (b"k" * at, number)
    assert fields.has_huge_integer(body)
    assert fields.dumps(fields.parse_object(body)) == body


def test_nesting_that_cannot_be_written_is_a_bad_request() -> None:
    deep = fields.parse_object(b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}")
    with pytest.raises(BadRequest, match="nested too deeply"):
        fields.dumps(deep)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_written_json_reads_back(payload: JsonObject) -> None:
    assert fields.parse_object(fields.dumps(payload)) == payload


@given(st.text(alphabet=st.characters(min_codepoint=0x10000, max_codepoint=0x1FFFF) | st.just("a")))
def test_surrogate_pairs_cut_between_deltas_are_joined(text: str) -> None:
    mender = fields.Mender()
    units = text.encode("utf-16-be")
    shown = ""
    for at in range(0, len(units), 2):
        frame = b'{"t":"\\u' + units[at : at + 2].hex().encode() + b'"}'
        payload = fields.parse_lenient(frame)
        assert payload is not None
        shown += mender.push(str(payload["t"]))
    assert shown + mender.flush() == text


def test_half_a_pair_becomes_a_replacement_character() -> None:
    mender = fields.Mender()
    assert mender.push("a\ud83d") == "a"
    assert mender.push("b\ude00c") == "\ufffdb\ufffdc"
    assert mender.push("\ud83d") == ""
    assert mender.flush() == "\ufffd"
    assert mender.flush() == ""


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b'{"a":"\\ud8', b"\xff", b'"\\ud800"'])
def test_lenient_parsing_gives_none_for_garbage(data: bytes) -> None:
    assert fields.parse_lenient(data) is None


def test_surrogates_never_break_writing() -> None:
    assert orjson.loads(fields.dumps({"a": "\ud83d\ude00\ud800"})) == {"a": "\U0001f600\ufffd"}
