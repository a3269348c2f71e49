"""Rests and their ends as replicas write them for each other."""

import logging

from dialects.fields import (
    dumps,
    optional_integer,
    optional_number,
    optional_text,
    parse_object,
    text,
    wrong,
)
from models.errors import BadRequest, ErrorKind
from models.json_types import JsonObject
from models.rest import Rest
from services.rest_book import End

logger = logging.getLogger(__name__)


def field_name(told: Rest | End) -> str:
    """Return the name under which it is kept: one for each subject and scope."""
    return f"{told.subject}\n{told.scope}"


def written(told: Rest | End) -> bytes:
    """Return what `read` reads."""
    fields: JsonObject = {
        "subject": told.subject,
        "scope": told.scope,
        "began_at": told.began_at,
        "until": told.until,
    }
    if isinstance(told, Rest):
        fields |= {
            "reason": told.reason.value,
            "evidence": told.evidence,
            "trial_at": told.trial_at,
            "strikes": told.strikes,
        }
    return dumps(fields)


def read(message: bytes) -> Rest | End | None:
    """Read a rest, or the end of one; None for what is neither."""
    try:
        told = parse_object(message)
        place = (text(told, "subject"), text(told, "scope"))
        times = (_moment(told, "began_at"), _moment(told, "until"))
        if "reason" not in told:
            return End(*place, *times)
        return Rest(
            *place,
            *times,
            ErrorKind(text(told, "reason")),
            optional_text(told, "evidence") or "",
            optional_number(told, "trial_at"),
            optional_integer(told, "strikes") or 0,
        )
    except (BadRequest, ValueError):
        logger.warning("a message about rests was not understood")
        return None


def _moment(told: JsonObject, key: str) -> float:
    value = optional_number(told, key)
    if value is None:
        raise wrong(key, "a moment")
    return value
