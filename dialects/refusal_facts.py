"""What an error tells machines besides its message: who rests, until when, what was tried."""

import json
from collections.abc import Mapping
from typing import Final

from models.errors import GatewayError
from models.json_types import Json, JsonObject

_NAMES: Final = ("reasons", "earliest_recovery", "attempts")
"""`reasons`: how many accounts cannot serve, by reason. `earliest_recovery`: ISO 8601. `attempts`:
what came of each, in order."""


def refusal_facts(error: GatewayError) -> JsonObject:
    """Return these of an error's details as JSON; {} for an error that has none of them."""
    return {name: _json(error.details[name]) for name in _NAMES if name in error.details}


def refusal_words(error: GatewayError) -> dict[str, str]:
    """Return the same as pairs of texts, for a format that has nothing else."""
    words: dict[str, str] = {}
    for name, value in refusal_facts(error).items():
        match value:
            case dict():
                words |= {key: str(inner) for key, inner in value.items()}
            case list():
                words |= {f"attempt {n}": _in_words(one) for n, one in enumerate(value, 1)}
            case _:
                words[name] = str(value)
    return words


def _in_words(attempt: Json) -> str:
    if not isinstance(attempt, Mapping):
        return str(attempt)
    return " ".join(str(value) for value in attempt.values() if value is not None)


def _json(value: object) -> Json:
    plain: Json = json.loads(json.dumps(value, default=str))
    return plain
