"""A model that reads a file with whichever tool its client offers, and tells what is in it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.provider import FakeProvider, Seen
from tests.fakes.scenarios import Call, Scenario

QUESTION = "What does note.txt say?"
NOTE = "heliotrope-and-quince"
"""What is in the file: nobody says it before the tool was run."""

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "Bash": {"command": "cat note.txt", "description": "Read the note"},
    "bash": {"command": "cat note.txt", "description": "Read the note"},
    "exec_command": {"cmd": "cat note.txt"},
    "read_file": {"file_path": "note.txt"},
    "read_note": {"name": "note.txt"},
}
"""What reads the file, for each tool by which a program can."""


@dataclass(frozen=True)
class Reader:
    """Answers the question with the tool call first, and with its result in words.

    Every other question, and every request without such a tool, gets its answer in words at once.
    """

    arguments: Mapping[str, Mapping[str, Any]]

    def __call__(self, seen: Seen) -> Scenario:
        asked = seen.body.decode()
        if NOTE in asked:
            return Scenario(text=("The note says ", NOTE, "."))
        for name in offered(seen.payload) if QUESTION in asked else ():
            if (given := self.arguments.get(name)) is not None:
                call = Call("call_reader1", name, given)
                # What it thought has to come back with the result, signed as the provider gave it.
                thinking = ("The note ", "will say.")
                return Scenario(("Let me look. ",), thinking, calls=(call,), stop="tools")
        return Scenario()


def place_note(folder: Path) -> None:
    """Put the file where programs run."""
    (folder / "work").mkdir(exist_ok=True)
    (folder / "work" / "note.txt").write_text(NOTE + "\n")


def teach(provider: FakeProvider, arguments: Mapping[str, Mapping[str, Any]] = ARGUMENTS) -> None:
    """Let a pretend provider answer as a reader does."""
    provider.respond = Reader(arguments)


def offered(payload: Mapping[str, Any]) -> list[str]:
    """Return the names of all tools in a request, in whichever provider's format."""
    request = payload.get("request", payload)  # Code Assist's envelope
    inputs = request.get("input")
    items = [item for item in inputs if isinstance(item, dict)] if isinstance(inputs, list) else []
    return [
        *_names(request.get("tools") or ()),
        *(name for item in items for name in _names(item.get("tools") or ())),
    ]


def _names(tools: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for tool in tools:
        name = tool.get("function", tool).get("name")
        if name is not None:
            yield name
        yield from _names(tool.get("tools") or ())
        yield from _names(tool.get("functionDeclarations") or ())
