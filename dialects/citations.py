"""Web pages that an answer cites, with the place of the text that they support.

Anthropic cites for a whole block of text, and its citations pass as they came. The others name a
place in a text: in `Text.citations` it counts characters from the beginning of that text.
"""

from collections.abc import Iterable
from typing import Final

from models.json_types import Json, JsonObject

_KIND: Final = "url_citation"


def cited_page(url: str, title: str, place: tuple[int, int] | None = None) -> JsonObject:
    """Return a citation; without a place it is one for the whole text."""
    found: JsonObject = {"type": _KIND, "url": url, "title": title}
    if place is not None:
        found["start_index"], found["end_index"] = place
    return found


def read_annotations(notes: Json, *, has_place: bool = True) -> list[JsonObject]:
    """Read OpenAI's annotations, be the place nested (Chat) or not (Responses); never raises.

    `has_place`: whether they count from the beginning of the text that they stand with.
    """
    found: list[JsonObject] = []
    for note in notes if isinstance(notes, list) else ():
        nested = note.get(_KIND, note) if isinstance(note, dict) else None
        if not isinstance(note, dict) or note.get("type") != _KIND or not isinstance(nested, dict):
            continue
        url, title = nested.get("url"), nested.get("title")
        if isinstance(url, str) and url:
            place = _place(nested) if has_place else None
            found.append(cited_page(url, title if isinstance(title, str) else "", place))
    return found


def of_anthropic(citations: Iterable[JsonObject]) -> list[JsonObject]:
    """Return those that Anthropic made: nobody else's have what its format demands of one."""
    return [citation for citation in citations if citation.get("type") != _KIND]


def annotations(citations: Iterable[JsonObject], start: int, end: int) -> list[JsonObject]:
    """Return citations of web pages as Responses has them; their text stands at `start:end`."""
    found: list[JsonObject] = []
    for citation in citations:
        url, title = citation.get("url"), citation.get("title")
        if isinstance(url, str):
            first, last = _place(citation) or (0, end - start)
            place = (min(start + first, end), min(start + last, end))
            found.append(cited_page(url, title if isinstance(title, str) else "", place))
    return found


def _place(holder: JsonObject) -> tuple[int, int] | None:
    start, end = holder.get("start_index"), holder.get("end_index")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
        return None
    return start, end
