"""Nothing that a client asks for is lost in silence, and the documentation says what is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dialects import DIALECTS
from models.errors import Unrepresentable
from models.json_types import Json
from tests.losses.outcome import TARGETS, Fate, outcome, planned
from tests.losses.tables import FEATURES, FORMATS, page

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"

PAIRS = [
    pytest.param(client.name, target.title, id=f"{client.name} to {target.title}")
    for client in FORMATS
    for target in TARGETS
]


@pytest.mark.parametrize(("client", "title"), PAIRS)
def test_what_is_not_carried_is_named_or_refused(client: str, title: str) -> None:
    dialect = DIALECTS[client]
    target = next(target for target in TARGETS if target.title == title)
    found = {
        feature.name: outcome(feature, dialect, target)
        for feature in FEATURES
        if client in feature.said
    }
    assert [name for name, cell in found.items() if cell.fate is Fate.VANISHED] == []


@pytest.mark.parametrize(("client", "title"), PAIRS)
def test_who_is_strict_gets_a_refusal_for_all_that_would_be_dropped(
    client: str, title: str
) -> None:
    dialect = DIALECTS[client]
    target = next(target for target in TARGETS if target.title == title)
    for feature in FEATURES:
        if client not in feature.said:
            continue
        found = outcome(feature, dialect, target)
        if found.fate is Fate.REFUSED:
            continue
        body = feature.body(client)
        if not planned(dialect, target, body).dropped:
            planned(dialect, target, body, strict=True)
            continue
        with pytest.raises(Unrepresentable) as caught:
            planned(dialect, target, body, strict=True)
        assert all(name in caught.value.message for name in found.named)


@pytest.mark.parametrize(("client", "title"), PAIRS)
def test_what_is_lost_has_the_name_that_the_client_gave_it(client: str, title: str) -> None:
    dialect = DIALECTS[client]
    target = next(target for target in TARGETS if target.title == title)
    for feature in FEATURES:
        if client not in feature.said:
            continue
        known = {*keys(feature.body(client)), "prefill"}  # which has no field of its own
        found = outcome(feature, dialect, target)
        unknown = [name for name in found.named if name.split(".")[-1] not in known]
        assert unknown == [], feature.name


def keys(value: Json) -> Iterator[str]:
    """Yield every key and every kind of part of a body."""
    match value:
        case dict():
            yield from value
            yield str(value.get("type"))
            for child in value.values():
                yield from keys(child)
        case list():
            for child in value:
                yield from keys(child)
        case _:
            pass


def test_the_documentation_says_what_the_code_does() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert page(told) == told, "run: python -m tests.losses"
