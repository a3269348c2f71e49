"""Answers of every format for clients of every other: as they were reviewed."""

import pytest

from tests.wire.results import PAIRS, file_of, told


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_an_answer_is_what_was_reviewed(provider: str, client: str) -> None:
    assert told(provider, client).split("\n") == file_of(provider, client).read_text().split("\n")
