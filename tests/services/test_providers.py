import pytest

from models.provider import StoredProvider
from services.providers import dialects_of


@pytest.mark.parametrize(
    ("base_url", "dialects"),
    [
        (None, ["chat", "messages", "embeddings"]),
        ("https://x.test/v1", ["chat", "embeddings"]),
        ("https://x.test/api/anthropic", ["messages"]),
    ],
)
def test_what_a_provider_is_spoken_to_in_depends_on_its_address(
    base_url: str | None, dialects: list[str]
) -> None:
    row = StoredProvider("glm", "GLM", "chat", base_url, is_builtin=True)
    assert sorted(dialects_of(row)) == sorted(dialects)


def test_a_provider_that_a_newer_version_stored_speaks_nothing_here() -> None:
    assert dialects_of(StoredProvider("own", "Own", "soap", "https://x.test")) == []
