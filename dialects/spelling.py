"""Names of dropped fields as the client wrote them.

Encoders of requests know fields by one name each; the same wish has other names in other
formats, and sometimes several in one.
"""

from collections.abc import Iterable, Mapping

from models.json_types import Json, JsonObject


def spelled(
    dropped: Iterable[str], payload: JsonObject, spellings: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return each name as a field of `payload`, dots between levels.

    `spellings`: the encoders' name -> the fields that may have said it, the usual one first.
    """
    found = []
    for name in dropped:
        fields = spellings.get(name, (name,))
        found.append(next((field for field in fields if _stands(field, payload)), fields[0]))
    return tuple(dict.fromkeys(found))


def _stands(field: str, payload: JsonObject) -> bool:
    value: Json = payload
    for key in field.split("."):
        if not isinstance(value, dict):
            return False
        value = value.get(key)
    return value is not None
