"""Pages of the model list, asked for and marked as each vendor's clients do."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dialects.base import ModelEntry
from handlers.callers import GEMINI, MESSAGES
from models.errors import BadRequest
from models.json_types import JsonObject

MAX_PAGE: Final = 1_000
"""Longest page, and what is given to who does not say how much: few have more models."""

_MAX_TOKEN_LENGTH: Final = 4_096


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A part of the list, and what its answer says of the rest."""

    models: Sequence[ModelEntry]
    marks: JsonObject = field(default_factory=dict)


def page_of(dialect: str, models: Sequence[ModelEntry], query: Mapping[str, str]) -> ModelPage:
    """Return the part that the query asks for; raises BadRequest.

    OpenAI's list has no pages: its clients get everything.
    """
    pager = _PAGERS.get(dialect)
    return ModelPage(models) if pager is None else pager(models, query)


def _google_page(models: Sequence[ModelEntry], query: Mapping[str, str]) -> ModelPage:
    size = min(_number(query, "pageSize", least=0) or MAX_PAGE, MAX_PAGE)
    token = query.get("pageToken", "")
    start = _after(models, _opened(token), "pageToken") if token else 0
    page = models[start : start + size]
    is_last = start + size >= len(models)
    return ModelPage(page, {} if is_last else {"nextPageToken": _token(page[-1].id)})


def _anthropic_page(models: Sequence[ModelEntry], query: Mapping[str, str]) -> ModelPage:
    size = min(_number(query, "limit", least=1) or MAX_PAGE, MAX_PAGE)
    if before := query.get("before_id"):
        end = _after(models, before, "before_id") - 1
        start = max(0, end - size)
        return ModelPage(models[start:end], {"has_more": start > 0})
    after = query.get("after_id")
    start = _after(models, after, "after_id") if after else 0
    return ModelPage(models[start : start + size], {"has_more": start + size < len(models)})


_PAGERS: Final[Mapping[str, Callable[[Sequence[ModelEntry], Mapping[str, str]], ModelPage]]] = {
    GEMINI: _google_page,
    MESSAGES: _anthropic_page,
}


def _after(models: Sequence[ModelEntry], model_id: str, name: str) -> int:
    """Return where the list goes on after a model."""
    for index, entry in enumerate(models):
        if entry.id == model_id:
            return index + 1
    raise BadRequest(f"{name}: there is no such place in the list", path=name)


def _number(query: Mapping[str, str], name: str, *, least: int) -> int:
    """Return a whole number of the query; 0 when it is not there."""
    text = query.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 9) or int(text) < least:
        raise BadRequest(f"{name}: expected a whole number from {least} on", path=name)
    return int(text)


def _token(model_id: str) -> str:
    return base64.urlsafe_b64encode(model_id.encode()).decode()


def _opened(token: str) -> str:
    try:
        return base64.b64decode(token[:_MAX_TOKEN_LENGTH], altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise BadRequest("pageToken: this is none of ours", path="pageToken") from None
