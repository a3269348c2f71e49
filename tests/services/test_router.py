"""Which provider a model name leads to."""

import pytest

from models.errors import NoRoute
from services.router import Router, merged_prefixes
from tests.builders import make_provider

PROVIDERS = {
    name: make_provider(name, prefixes=()) for name in ("openai", "anthropic", "glm", "mine")
}
ROUTER = Router(
    PROVIDERS,
    {
        "claude-": ["anthropic"],
        "claude-sonnet-": ["mine", "anthropic"],
        "gpt-": ["openai"],
        "o1": ["openai"],
        "glm-": ["glm"],
        "gone-": ["deleted"],
    },
)


def routes(model: str) -> list[tuple[str, str]]:
    return [(route.provider.id, route.model) for route in ROUTER.resolve(model)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-4", [("anthropic", "claude-opus-4")]),
        ("claude-sonnet-4", [("mine", "claude-sonnet-4"), ("anthropic", "claude-sonnet-4")]),
        ("Claude-Opus", [("anthropic", "Claude-Opus")]),
        ("GPT-5", [("openai", "GPT-5")]),
        ("o1", [("openai", "o1")]),
        ("o1-mini", [("openai", "o1-mini")]),
        ("glm/claude-x", [("glm", "claude-x")]),
        ("glm:glm-4.6", [("glm", "glm-4.6")]),
        ("OpenAI/whatever", [("openai", "whatever")]),
        ("mine/meta/llama:70b", [("mine", "meta/llama:70b")]),
        ("gpt-x:tag", [("openai", "gpt-x:tag")]),
    ],
)
def test_the_longest_prefix_or_the_named_provider_wins(
    model: str, expected: list[tuple[str, str]]
) -> None:
    assert routes(model) == expected


@pytest.mark.parametrize("model", ["llama", "gone-x", "o", "openai/", "unknown/claude", "/x"])
def test_an_unknown_model_is_told_what_is_known(model: str) -> None:
    with pytest.raises(NoRoute) as caught:
        ROUTER.resolve(model)
    assert caught.value.status == 404
    assert "claude-, claude-sonnet-, glm-, gpt-, o1" in caught.value.message
    assert "anthropic, glm, mine, openai" in caught.value.message


def test_prefixes_of_an_operators_provider_come_after_the_configured_ones() -> None:
    own = make_provider("mine", prefixes=("gpt-", "llama-"))
    merged = merged_prefixes({"gpt-": ["openai"]}, [own], frozenset())
    assert merged == {"gpt-": ["openai", "mine"], "llama-": ["mine"]}


def test_prefixes_changed_by_the_operator_replace_the_configured_ones() -> None:
    moved = make_provider("openai", prefixes=("oai-",))
    merged = merged_prefixes({"gpt-": ["openai", "mine"]}, [moved], frozenset({"openai"}))
    assert merged == {"gpt-": ["mine"], "oai-": ["openai"]}


def test_a_very_long_model_name_is_cut_in_the_message() -> None:
    with pytest.raises(NoRoute) as caught:
        ROUTER.resolve("x" * 10_000)
    assert len(caught.value.message) < 400


def test_a_name_longer_than_any_model_has_is_unknown_and_not_remembered() -> None:
    with pytest.raises(NoRoute) as caught:
        ROUTER.resolve("gpt-" + "x" * 10_000)
    assert len(caught.value.message) < 1_000


@pytest.mark.parametrize(
    "name",
    ["..", "../x", "a/../b", "a/..", "..\\x", "./x", "a\nb", "a\r\nX: y", "a\x00", "\x7f", "a\t"],
)
def test_a_name_that_could_lead_elsewhere_in_an_address_is_unknown(name: str) -> None:
    for model in (f"openai/{name}", f"openai:{name}"):
        with pytest.raises(NoRoute):
            ROUTER.resolve(model)


@pytest.mark.parametrize("name", ["\udcff", "gpt-\udc80x"])
def test_a_name_that_is_no_text_is_unknown(name: str) -> None:
    """Bytes of a header arrive like that; one such name made a whole batch for Redis fail."""
    for model in (f"openai/{name}", f"gpt-{name}"):
        with pytest.raises(NoRoute):
            ROUTER.resolve(model)


@pytest.mark.parametrize("name", ["a..b", "..a", "a.", ".a", "a/b.c", "é", "a b", "x?y=z#f"])
def test_dots_and_signs_inside_a_name_are_its_own(name: str) -> None:
    assert routes(f"openai/{name}") == [("openai", name)]
