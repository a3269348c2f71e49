"""What a Messages request says of its conversation."""

import re
from typing import Final

from dialects.fields import parse_lenient
from dialects.openings import session_of
from models.json_types import Json, JsonObject
from models.session import Session

# `user_<hash>_account_<uuid>_session_<uuid>`, as Claude Code wrote it for long; the account's part
# may be empty.
_IN_TEXT: Final = re.compile(r"_session_([\w-]{8,128})\Z", re.ASCII)
_MAX_CHARS: Final = 1024


def read_session(payload: JsonObject) -> Session:
    """Return what stays the same in each turn; never raises."""
    metadata = payload.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    return session_of(_named(user_id), payload.get("system"), payload.get("messages"))


def _named(user_id: Json) -> Json:
    """Return the session's part of a user's id; users themselves have many conversations."""
    if not isinstance(user_id, str) or len(user_id) > _MAX_CHARS:
        return None
    if user_id.startswith("{"):
        told = parse_lenient(user_id.encode("utf-8", "replace"))
        return told.get("session_id") if told is not None else None
    found = _IN_TEXT.search(user_id)
    return found[1] if found is not None else None
