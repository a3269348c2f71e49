"""Pages of the model list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.base import ModelEntry
from handlers.model_pages import MAX_PAGE, page_of
from models.errors import BadRequest

MODELS = [ModelEntry(f"model-{number}/é", "p") for number in range(7)]
IDS = [model.id for model in MODELS]


@given(st.integers(1, 9))
def test_googles_pages_hold_every_model_once(size: int) -> None:
    found: list[str] = []
    query = {"pageSize": str(size)}
    while True:
        page = page_of("gemini", MODELS, query)
        assert len(page.models) <= size
        found += [model.id for model in page.models]
        if "nextPageToken" not in page.marks:
            break
        query["pageToken"] = str(page.marks["nextPageToken"])
    assert found == IDS


@given(st.integers(1, 9))
def test_anthropics_pages_hold_every_model_once_in_both_directions(size: int) -> None:
    found: list[str] = []
    query = {"limit": str(size)}
    while True:
        page = page_of("messages", MODELS, query)
        found += [model.id for model in page.models]
        if not page.marks["has_more"]:
            break
        query["after_id"] = found[-1]
    assert found == IDS
    back: list[str] = []
    query = {"limit": str(size), "before_id": IDS[-1]}
    while True:
        page = page_of("messages", MODELS, query)
        back = [model.id for model in page.models] + back
        if not page.marks["has_more"]:
            break
        query["before_id"] = back[0]
    assert back == IDS[:-1]


@pytest.mark.parametrize("dialect", ["gemini", "messages", "chat", "responses"])
def test_who_does_not_say_how_much_gets_everything_up_to_a_bound(dialect: str) -> None:
    assert list(page_of(dialect, MODELS, {}).models) == MODELS
    many = [ModelEntry(str(number), "p") for number in range(MAX_PAGE + 1)]
    is_paged = dialect in {"gemini", "messages"}
    assert len(page_of(dialect, many, {}).models) == len(many) - is_paged
    asked = {"pageSize": "5000", "limit": "5000"}
    assert len(page_of(dialect, many, asked).models) == len(many) - is_paged


def test_openais_clients_know_no_pages() -> None:
    page = page_of("chat", MODELS, {"limit": "1", "pageSize": "1", "after_id": "none"})
    assert (list(page.models), page.marks) == (MODELS, {})


def test_a_list_of_nothing_has_no_next_page() -> None:
    assert page_of("gemini", [], {}).marks == {}
    assert page_of("messages", [], {}).marks == {"has_more": False}


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("gemini", {"pageSize": "-1"}),
        ("gemini", {"pageSize": "x"}),
        ("gemini", {"pageSize": "9" * 5_000}),
        ("gemini", {"pageToken": "?"}),
        ("gemini", {"pageToken": "bm9uZQ=="}),
        ("gemini", {"pageToken": "_w=="}),
        ("gemini", {"pageToken": "é"}),
        ("messages", {"limit": "0"}),
        ("messages", {"limit": "٣"}),
        ("messages", {"limit": "1.5"}),
        ("messages", {"after_id": "none"}),
        ("messages", {"before_id": "none"}),
    ],
)
def test_what_a_page_cannot_be_is_refused(dialect: str, query: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as caught:
        page_of(dialect, MODELS, query)
    assert caught.value.path in query
