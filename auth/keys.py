"""Keys that clients call us with: made, recognised and stored as keyed hashes.

A key is `ak_`, 32 random base62 digits (190 bits) and six that sum them up, so that a mistyped
or cut key is told from an unknown one without a look into the database.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib

_PREFIX = "ak_"
_SECRET_LENGTH = 32  # 32 x log2(62) = 190.5 bits
_SUM_LENGTH = 6  # 62**6 > 2**32
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(rf"{_PREFIX}[0-9A-Za-z]{{{_SECRET_LENGTH + _SUM_LENGTH}}}", re.ASCII)


def new_key() -> str:
    """Make a key. It is shown once; only its hash and hint are kept."""
    body = _PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_SECRET_LENGTH))
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Tell whether this can be one of our keys; says nothing about whether it is known."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return key[-_SUM_LENGTH:] == _checksum(key[:-_SUM_LENGTH])


def hash_key(key: str, pepper: bytes) -> bytes:
    """Return the 32 bytes by which a key is stored and found.

    A slow hash would buy nothing against 190 random bits; the pepper lies outside the database
    and makes a stolen copy of it useless. Any text has a hash, also one that is not a key.
    """
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), hashlib.sha256)


def hint(key: str) -> str:
    """Return the last four characters, by which people tell keys apart."""
    return key[-4:]


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(_SUM_LENGTH):
        value, digit = divmod(value, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
