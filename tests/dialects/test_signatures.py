from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.signatures import Of, Signature, is_tag, tagged, untagged


@given(
    st.sampled_from(["openai", "glm", "claude-ca", "unknown"]),
    st.text(min_size=1),
    st.sampled_from(get_args(Of)),
    st.text(),
)
def test_a_tag_brings_back_what_it_holds(vendor: str, signature: str, of: Of, text: str) -> None:
    tag = tagged(vendor, signature, of, text)
    assert tag.isascii()
    assert is_tag(tag)
    assert untagged(tag) == Signature(vendor, signature, of, text)


def test_the_format_of_a_tag() -> None:
    assert tagged("glm", "AbC=") == "gw1.glm.eyJzIjoiQWJDPSJ9"
    assert tagged("gemini", "AbC=", of="call") == ("gw1.gemini.eyJzIjoiQWJDPSIsIm9mIjoiY2FsbCJ9")


@pytest.mark.parametrize(
    "text", ["", "EqQB", "gw1.", "gw1.glm", "gw1.glm.", "gw1.glm.?", "gw1..eyJzIjoieCJ9",
             "gw1.glm.eyJzIjoxfQ", "gw1.glm.é", "gw1.glm.W10",
             "gw1.glm.eyJzIjoieCIsIm9mIjoieSJ9"]
)  # fmt: skip
def test_anything_else_is_no_tag(text: str) -> None:
    assert untagged(text) is None
