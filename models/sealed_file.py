"""A file whose content opens with a passphrase."""

from dataclasses import dataclass, field
from typing import Final

FORMAT: Final = "aigateway-accounts"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SealedFile:
    """Its parts: how the key is made by scrypt (RFC 7914), and what AES-256-GCM sealed with it."""

    n: int
    """Cost of scrypt; with `r` it takes 128 * n * r bytes of memory."""
    r: int
    p: int
    salt: bytes
    nonce: bytes
    ciphertext: bytes = field(repr=False)
    """With its tag."""
