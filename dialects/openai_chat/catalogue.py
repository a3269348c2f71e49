"""Model lists in OpenAI's shape."""

from collections.abc import Sequence

from dialects.base import ModelEntry
from models.json_types import Json, JsonObject


def read_models(payload: JsonObject) -> list[ModelEntry]:
    """Return the models of a list; entries that are not models are skipped."""
    data = payload.get("data")
    found: dict[str, ModelEntry] = {}
    for entry in data if isinstance(data, list) else ():
        if isinstance(entry, dict):
            model_id = entry.get("id")
            if isinstance(model_id, str) and model_id:
                found.setdefault(model_id, ModelEntry(model_id, "", _created(entry)))
    return list(found.values())


def encode_models(models: Sequence[ModelEntry]) -> JsonObject:
    """Write the answer to `GET /v1/models`."""
    entries: list[Json] = [encode_model(model) for model in models]
    return {"object": "list", "data": entries}


def encode_model(model: ModelEntry) -> JsonObject:
    """Write the answer to `GET /v1/models/{id}`."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.provider_id,
    }


def _created(entry: JsonObject) -> int:
    created = entry.get("created")
    is_time = isinstance(created, int) and not isinstance(created, bool)
    return created if is_time and isinstance(created, int) and created >= 0 else 0
