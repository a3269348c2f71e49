"""Model lists of the Messages format, read and written."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from dialects.base import ModelEntry
from models.json_types import Json, JsonObject

_LAST: Final = 253_402_300_799  # the last second of the year 9999


def read_models(payload: JsonObject) -> list[ModelEntry]:
    """Read a provider's list; what has no id is left out."""
    listed = payload.get("data")
    if not isinstance(listed, list):
        return []
    return [entry for item in listed if (entry := _read_model(item)) is not None]


def encode_models(models: Sequence[ModelEntry]) -> JsonObject:
    """Write the list as one page."""
    return {
        "data": [encode_model(model) for model in models],
        "has_more": False,
        "first_id": models[0].id if models else None,
        "last_id": models[-1].id if models else None,
    }


def encode_model(model: ModelEntry) -> JsonObject:
    """Write one model; newer clients demand `lifecycle`."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "created_at": datetime.fromtimestamp(min(max(model.created, 0), _LAST), UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "lifecycle": "active",
    }


def _read_model(item: Json) -> ModelEntry | None:
    if not isinstance(item, dict):
        return None
    name, shown = item.get("id"), item.get("display_name")
    if not isinstance(name, str) or not name:
        return None
    display_name = shown if isinstance(shown, str) and shown else None
    return ModelEntry(name, "", _epoch(item.get("created_at")), display_name)


def _epoch(value: Json) -> int:
    if not isinstance(value, str):
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp()))
