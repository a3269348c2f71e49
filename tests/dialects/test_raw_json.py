from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import raw_json
from models.errors import BadRequest
from models.json_types import Json, JsonObject

KEYS = raw_json.quoted("model", "stream", "max_tokens", "messages")


def spell(text: str) -> bytes:
    """Write a string with every character as an escape."""
    return b'"' + b"".join(b"\\u%04x" % ord(char) for char in text) + b'"'


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=8)
    | st.sampled_from(['"model"', '{"model":1}', "[", "}", "\\", '\\"', "model", ",", ":"])
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "a", "b]"]), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(["model", "stream", "x", "mod\nel", 'q"uote', "ü", "messages", "}{"])
spaces = st.sampled_from([b"", b" ", b"\n\t", b"\r\n  "])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Json]]]:
    """An object's bytes in some spelling, with its members, duplicates included."""
    pairs = draw(st.lists(st.tuples(keys, values), max_size=6))
    written = []
    for key, value in pairs:
        name = spell(key) if draw(st.booleans()) and key.isascii() else orjson.dumps(key)
        text = orjson.dumps(value, option=draw(st.sampled_from([0, orjson.OPT_INDENT_2])))
        gap = [draw(spaces) for _ in range(4)]
        written.append(gap[0] + name + gap[1] + b":" + gap[2] + text + gap[3])
    return draw(spaces) + b"{" + (b",".join(written) or draw(spaces)) + b"}" + draw(spaces), pairs


@given(bodies())
def test_members_are_found_where_they_stand(case: tuple[bytes, list[tuple[str, Json]]]) -> None:
    body, pairs = case
    found = list(raw_json.members(body))
    assert [member.key for member in found] == [key for key, _ in pairs]
    read = [orjson.loads(body[member.value_start : member.value_end]) for member in found]
    assert read == [value for _, value in pairs]


@given(bodies())
def test_exactly_guarded_duplicates_are_refused(
    case: tuple[bytes, list[tuple[str, Json]]],
) -> None:
    body, pairs = case
    payload: JsonObject = orjson.loads(body)
    names = [key for key, _ in pairs]
    doubled = [key for key in KEYS if names.count(key) > 1]
    if not doubled:
        raw_json.refuse_duplicates(body, payload, KEYS)
        return
    with pytest.raises(BadRequest) as caught:
        raw_json.refuse_duplicates(body, payload, KEYS)
    assert caught.value.path in doubled


@given(bodies(), values)
def test_replacing_a_value_touches_nothing_else(
    case: tuple[bytes, list[tuple[str, Json]]], value: Json
) -> None:
    body, pairs = case
    names = [key for key, _ in pairs]
    for key in names:
        if names.count(key) > 1:
            continue
        changed = raw_json.replace_value(body, key, orjson.dumps(value))
        assert orjson.loads(changed) == {**orjson.loads(body), key: value}
        old = next(member for member in raw_json.members(body) if member.key == key)
        assert changed.startswith(body[: old.value_start])
        assert changed.endswith(body[old.value_end :])


@given(bodies(), values)
def test_adding_a_member_keeps_all_others(
    case: tuple[bytes, list[tuple[str, Json]]], value: Json
) -> None:
    body, _ = case
    changed = raw_json.add_member(body, "added", orjson.dumps(value))
    assert orjson.loads(changed) == {"added": value, **orjson.loads(body)}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","\\u006dodel":"b"}',
        b'{"\\u006Dodel":"a","x":["model"],"\\u006dodel":"b"}',
        b'{"model":"a","x":{"y":"}"}, "model" : null}',
    ],
)
def test_a_duplicate_is_named_however_it_is_spelled(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^model: given more than once"):
        raw_json.refuse_duplicates(body, orjson.loads(body), KEYS)


def test_nested_and_quoted_namesakes_are_no_duplicates() -> None:
    body = b'{"model":"a","tools":[{"model":1,"stream":2}],"x":"\\"model\\"","stream":true}'
    raw_json.refuse_duplicates(body, orjson.loads(body), KEYS)
    assert raw_json.replace_value(body, "model", b'"b"') == body.replace(b'"a"', b'"b"')


def test_large_numbers_and_escapes_survive_a_splice() -> None:
    body = b'{ "n":123456789012345678901234567890, "e":"\\u00e9\\/" , "model" : "m" , "f":1.10}'
    assert raw_json.replace_value(body, "model", b'"other"') == body.replace(b'"m"', b'"other"')


def test_replacing_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        raw_json.replace_value(b'{"a":1}', "model", b'"b"')


def test_a_long_body_is_scanned_once() -> None:
    text = '\\"}' * 100_000
    body = b'{"a":"' + text.encode() + b'","b":' + b"[" * 500 + b"]" * 500 + b',"a":"\\u0061"}'
    with pytest.raises(BadRequest):
        raw_json.refuse_duplicates(body, orjson.loads(body), raw_json.quoted("a"))
