import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.signatures import Signature, is_tag, tagged, untagged


@given(
    st.sampled_from(["openai", "glm", "claude-ca", "unknown"]), st.text(min_size=1), st.booleans()
)
def test_a_tag_brings_back_what_it_holds(vendor: str, signature: str, is_of_call: bool) -> None:
    tag = tagged(vendor, signature, is_of_call=is_of_call)
    assert tag.isascii()
    assert is_tag(tag)
    assert untagged(tag) == Signature(vendor, signature, is_of_call)


def test_the_format_of_a_tag() -> None:
    assert tagged("glm", "AbC=") == "gw1.glm.eyJzIjoiQWJDPSJ9"
    assert tagged("gemini", "AbC=", is_of_call=True) == (
        "gw1.gemini.eyJzIjoiQWJDPSIsIm9mIjoiY2FsbCJ9"
    )


@pytest.mark.parametrize(
    "text", ["", "EqQB", "gw1.", "gw1.glm", "gw1.glm.", "gw1.glm.?", "gw1..eyJzIjoieCJ9",
             "gw1.glm.eyJzIjoxfQ", "gw1.glm.é", "gw1.glm.W10"]
)  # fmt: skip
def test_anything_else_is_no_tag(text: str) -> None:
    assert untagged(text) is None
