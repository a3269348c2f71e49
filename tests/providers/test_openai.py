import pytest

from providers.openai import knows, profile


@pytest.mark.parametrize(
    ("model", "efforts", "sampling", "max_stops", "cap"),
    [
        ("gpt-3.5-turbo", None, True, 4, 4096),
        ("gpt-4o-mini", None, True, 4, 16384),
        ("ft:gpt-4o:acme::x", None, True, 4, 16384),
        ("gpt-4.1", None, True, 4, 32768),
        ("gpt-5-chat-latest", None, True, 4, None),
        ("o1-mini", "", False, 0, 100_000),
        ("o3", "low medium high", False, 0, 100_000),
        ("gpt-5", "minimal low medium high", False, 0, 128_000),
        ("gpt-5-codex", "low medium high", False, 0, 128_000),
        ("gpt-5-pro", "high", False, 0, 128_000),
        ("gpt-5.1", "none low medium high", False, 0, 128_000),
        ("gpt-5.1-codex-max", "none low medium high xhigh", False, 0, 128_000),
        ("gpt-6.1-sol", "none low medium high xhigh", False, 0, 128_000),
        ("codex-mini-latest", "low medium high", False, 0, 128_000),
        ("gpt-test", None, True, 4, None),
    ],
)
def test_families_are_known_by_their_names(
    model: str, efforts: str | None, sampling: bool, max_stops: int, cap: int | None
) -> None:
    found = profile(model)
    assert found.vendor == "openai"
    assert found.reasoning is (efforts is not None)
    assert " ".join(found.efforts) == (efforts or "")
    assert (found.sampling, found.max_stops) == (sampling, max_stops)
    assert found.max_output_tokens == cap
    assert not found.legacy_max_tokens


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-5", True),
        ("o3-mini", True),
        ("openai/gpt-4o", True),
        ("chatgpt-4o-latest", True),
        ("gpt-oss-120b", False),
        ("llama-3", False),
        ("yolo3", False),
    ],
)
def test_openais_models_are_told_from_others(model: str, known: bool) -> None:
    assert knows(model) is known
