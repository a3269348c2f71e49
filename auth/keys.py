"""Keys that clients call us with: made, recognised and stored as keyed hashes.

A key is `ak_`, 32 random base62 digits (190 bits) and six that sum them up, so that a mistyped
or cut key is told from an unknown one without a look into the database.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Callable

_PREFIX = "ak_"
_SECRET_LENGTH = 32  # 32 x log2(62) = 190.5 bits
_SUM_LENGTH = 6  # 62**6 > 2**32
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BLOCK_BYTES = 64  # of SHA-256
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
    return key_hasher(pepper)(key)


def key_hasher(pepper: bytes) -> Callable[[str], bytes]:
    """Return what `hash_key` does with one pepper, which is taken in only once.

    HMAC (RFC 2104 section 2): both of its hashes begin with the pepper.
    """
    block = pepper if len(pepper) <= _BLOCK_BYTES else hashlib.sha256(pepper).digest()
    block = block.ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hashed(key: str) -> bytes:
        of_key, of_hash = inner.copy(), outer.copy()
        of_key.update(key.encode("utf-8", "surrogatepass"))
        of_hash.update(of_key.digest())
        return of_hash.digest()

    return hashed


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
