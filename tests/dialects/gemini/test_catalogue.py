"""Google's model list, read and written."""

import pytest
from google.genai import types

from dialects.base import ModelEntry
from dialects.gemini import GEMINI
from models.json_types import JsonObject


def listed(**fields: object) -> JsonObject:
    return {"name": "models/gemini-x", "displayName": "Gemini X", **fields}  # type: ignore[dict-item]  # JSON


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (listed(), [ModelEntry("gemini-x", "", 0, "Gemini X")]),
        (
            listed(supportedGenerationMethods=["generateContent", "countTokens"]),
            [ModelEntry("gemini-x", "", 0, "Gemini X")],
        ),
        (listed(supportedGenerationMethods=["embedContent"]), []),
        (listed(name="tunedModels/mine", displayName=""), [ModelEntry("tunedModels/mine", "")]),
        (listed(name="models/"), []),
        (listed(name=5), []),
        (5, []),
    ],
)
def test_a_list_is_read(item: JsonObject, expected: list[ModelEntry]) -> None:
    assert GEMINI.read_models({"models": [item]}) == expected


@pytest.mark.parametrize("payload", [{}, {"models": {}}, {"data": [{"id": "m"}]}])
def test_another_list_is_none(payload: JsonObject) -> None:
    assert GEMINI.read_models(payload) == []


def test_a_list_is_written_as_it_is_read() -> None:
    models = [ModelEntry("a", "", 0, "A"), ModelEntry("vendor/b", "", 0, "vendor/b")]
    written = GEMINI.encode_models(models)
    assert GEMINI.read_models(written) == models
    assert "nextPageToken" not in written
    entry = GEMINI.encode_model(models[1])
    assert (
        types.Model.model_validate(
            {key: entry[key] for key in ("name", "displayName", "version")}
        ).name
        == "models/vendor/b"
    )
    assert entry["supportedGenerationMethods"] == ["generateContent", "countTokens"]


def test_the_whole_list_is_asked_for_at_once() -> None:
    assert GEMINI.models_path == "/v1beta/models?pageSize=1000"
