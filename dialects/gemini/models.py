"""Model lists of the Gemini format, read and written."""

from collections.abc import Sequence
from typing import Final

from dialects.base import ModelEntry
from models.json_types import Json, JsonObject

PREFIX: Final = "models/"
_GENERATE: Final = "generateContent"


def bare_model(name: str) -> str:
    """Return a model's name without the collection that Google puts in front."""
    return name.removeprefix(PREFIX)


def read_models(payload: JsonObject) -> list[ModelEntry]:
    """Read a provider's list; what cannot generate is left out."""
    listed = payload.get("models")
    if not isinstance(listed, list):
        return []
    return [entry for item in listed if (entry := _read_model(item)) is not None]


def encode_models(models: Sequence[ModelEntry]) -> JsonObject:
    """Write the list as one page."""
    return {"models": [encode_model(model) for model in models]}


def encode_model(model: ModelEntry) -> JsonObject:
    """Write one model. Limits that we do not know are left out."""
    return {
        "name": PREFIX + model.id,
        "version": "",
        "displayName": model.display_name or model.id,
        "supportedGenerationMethods": [_GENERATE, "countTokens"],
    }


def _read_model(item: Json) -> ModelEntry | None:
    if not isinstance(item, dict):
        return None
    name, shown = item.get("name"), item.get("displayName")
    methods = item.get("supportedGenerationMethods")
    can_generate = not isinstance(methods, list) or _GENERATE in methods
    if not isinstance(name, str) or not bare_model(name) or not can_generate:
        return None
    display_name = shown if isinstance(shown, str) and shown else None
    return ModelEntry(bare_model(name), "", display_name=display_name)
