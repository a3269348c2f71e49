"""The `state` of a login: made by us, told from a guess without a look into the database.

It is 256 random bits and a keyed sum over them. Only a keyed hash of it is stored, so that who
reads the database cannot end somebody's login.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

_RANDOM_BYTES: Final = 32
_SUM_BYTES: Final = 10
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{56}", re.ASCII)


def new_state(key: bytes) -> str:
    """Make a state: 56 characters that may stand anywhere in an address."""
    random = secrets.token_bytes(_RANDOM_BYTES)
    return base64.urlsafe_b64encode(random + _sum(random, key)).decode()


def is_ours(state: str, key: bytes) -> bool:
    """Tell whether this was made by `new_state`; says nothing about whether it is still good."""
    if _SHAPE.fullmatch(state) is None:
        return False
    data = base64.urlsafe_b64decode(state)
    return hmac.compare_digest(data[_RANDOM_BYTES:], _sum(data[:_RANDOM_BYTES], key))


def hashed(secret: str, key: bytes) -> str:
    """Return the 64 characters by which a state, device code or cookie is stored and found."""
    data = b"hash:" + secret.encode("utf-8", "surrogatepass")
    return hmac.digest(key, data, hashlib.sha256).hex()


def _sum(random: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"sum:" + random, hashlib.sha256)[:_SUM_BYTES]
