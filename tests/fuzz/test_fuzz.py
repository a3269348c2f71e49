"""Whatever comes, from clients and from providers, nothing breaks but with an error of ours."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS_BY_NAME


@pytest.mark.parametrize("name", TARGETS_BY_NAME)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**63))
def test_nothing_that_is_read_breaks_us(name: str, seed: int) -> None:
    TARGETS_BY_NAME[name].run(random.Random(seed))
