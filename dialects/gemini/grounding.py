"""What an answer of Gemini is grounded in, read as citations of web pages."""

from typing import Final

from dialects.citations import cited_page
from models.json_types import Json, JsonObject

_MAX_SUPPORTS: Final = 200
"""More would cost more to find in a long text than they tell."""


def read_grounding(metadata: JsonObject, text: str) -> list[JsonObject]:
    """Return the citations of `text`; never raises. Google counts bytes of UTF-8."""
    pages = [_page(chunk) for chunk in _list(metadata, "groundingChunks")]
    told = text.encode("utf-8", "replace")
    found: list[JsonObject] = []
    for support in _list(metadata, "groundingSupports")[:_MAX_SUPPORTS]:
        if not isinstance(support, dict):
            continue
        place = _place(support.get("segment"), told)
        for at in _list(support, "groundingChunkIndices"):
            page = pages[at] if isinstance(at, int) and 0 <= at < len(pages) else None
            if page is not None:
                found.append(cited_page(*page, place))
    return found


def _page(chunk: Json) -> tuple[str, str] | None:
    web = chunk.get("web") if isinstance(chunk, dict) else None
    if not isinstance(web, dict):
        return None
    uri, title = web.get("uri"), web.get("title")
    return (uri, title if isinstance(title, str) else "") if isinstance(uri, str) and uri else None


def _place(segment: Json, told: bytes) -> tuple[int, int] | None:
    if not isinstance(segment, dict):
        return None
    start, end = segment.get("startIndex", 0), segment.get("endIndex")  # a zero is left out
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
        return None
    first = len(told[:start].decode("utf-8", "ignore"))
    return first, first + len(told[start:end].decode("utf-8", "ignore"))


def _list(payload: JsonObject, key: str) -> list[Json]:
    value = payload.get(key)
    return value if isinstance(value, list) else []
