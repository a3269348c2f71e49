import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.signatures import is_tag, tagged, untagged


@given(st.sampled_from(["openai", "glm", "unknown"]), st.text(min_size=1))
def test_a_tag_brings_vendor_and_signature_back(vendor: str, signature: str) -> None:
    tag = tagged(vendor, signature)
    assert tag.isascii()
    assert is_tag(tag)
    assert untagged(tag) == (vendor, signature)


def test_the_format_of_a_tag() -> None:
    assert tagged("glm", "AbC=") == "gw1.glm.eyJzIjoiQWJDPSJ9"


@pytest.mark.parametrize(
    "text", ["", "EqQB", "gw1.", "gw1.glm", "gw1.glm.", "gw1.glm.?", "gw1..eyJzIjoieCJ9",
             "gw1.glm.eyJzIjoxfQ", "gw1.glm.é", "gw1.glm.W10"]
)  # fmt: skip
def test_anything_else_is_no_tag(text: str) -> None:
    assert untagged(text) is None
