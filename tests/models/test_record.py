"""Records are made, compared and copied as frozen dataclasses are."""

from dataclasses import field
from dataclasses import replace as of_the_library

import pytest

from models.chat import ChatRequest
from models.content import Message, Text, ToolCall, ToolResult
from models.events import Delta
from models.record import record, replace
from models.usage import Usage


@record(frozen=True, slots=True)
class One:
    """A record with a single field."""

    value: tuple[int, ...]


@record(frozen=True, slots=True)
class Told:
    """A record whose second field does not count."""

    text: str
    path: str = field(default="", compare=False)


def test_a_copy_differs_in_the_given_fields_alone() -> None:
    call = ToolCall("call_1", "f", "{}", {"type": "ephemeral"}, "sig", "gemini")
    assert replace(call, name="g") == of_the_library(call, name="g")
    assert replace(call, signature=None, origin=None) == ToolCall(
        "call_1", "f", "{}", {"type": "ephemeral"}
    )
    assert call.name == "f"


def test_all_kinds_of_records_can_be_copied() -> None:
    asked = ChatRequest("m", False, (Message("user", (Text("a"),), path="messages[0]"),))
    changed = replace(asked, model="n", cache_key="k")
    assert changed == of_the_library(asked, model="n", cache_key="k")
    assert changed.messages[0].path == "messages[0]"
    assert replace(Delta("a"), text="b") == Delta("b")
    assert replace(Usage(1, 2), output_tokens=3) == Usage(1, 3)
    assert replace(One((1, 2)), value=(3,)) == One((3,))
    assert replace(One((1, 2))) == One((1, 2))


def test_fields_that_do_not_count_are_copied_too() -> None:
    told = Told("a", "messages[0]")
    assert replace(told, text="b").path == "messages[0]"
    assert replace(ToolResult("c", (), path="here"), is_error=True).path == "here"


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        replace(Delta("a"), words="b")  # type: ignore[call-arg]  # that is what must not pass
