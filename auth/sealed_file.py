"""Secrets that leave the house in a file: sealed under a passphrase, not under the master key.

The key is made by scrypt (RFC 7914) from the passphrase and a random salt; the content is sealed
with AES-256-GCM. Everything else in the file, the parameters of scrypt included, is authenticated
along with it: a UTF-8 JSON array of format, version, `scrypt`, n, r, p, salt in hexadecimal digits,
`AES-256-GCM` and nonce in hexadecimal digits, without spaces.
"""

import json
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from models.errors import BadRequest
from models.sealed_file import FORMAT, VERSION, SealedFile

# OWASP's first choice for scrypt: 128 MiB and about half a second.
_N: Final = 2**17
_R: Final = 8
_P: Final = 1
# A file may come from anybody: it must not cost more time and memory than one of ours.
_MAX_COST: Final = _N * _R * _P
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


def seal(plaintext: bytes, passphrase: str, *, n: int = _N) -> SealedFile:
    """Encrypt. Takes about half a second and 128 MiB: call it in a thread."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    head = SealedFile(n, _R, _P, salt, nonce, b"")
    sealed = AESGCM(_key(head, passphrase)).encrypt(nonce, plaintext, _bound(head))
    return SealedFile(n, _R, _P, salt, nonce, sealed)


def unseal(file: SealedFile, passphrase: str) -> bytes:
    """Decrypt, in a thread. Raises BadRequest for another passphrase, a changed file, or
    parameters that would cost more than any file of ours."""
    is_fit = (
        file.n >= 2
        and file.n & (file.n - 1) == 0
        and file.r >= 1
        and file.p >= 1
        and file.n * file.r * file.p <= _MAX_COST
        and len(file.salt) == _SALT_BYTES
        and len(file.nonce) == _NONCE_BYTES
    )
    if not is_fit:
        raise BadRequest("file: its parameters are none that this gateway writes", path="file")
    try:
        return AESGCM(_key(file, passphrase)).decrypt(file.nonce, file.ciphertext, _bound(file))
    except InvalidTag:
        raise BadRequest(
            "file: the passphrase is another one, or the file was changed", path="file"
        ) from None


def _key(file: SealedFile, passphrase: str) -> bytes:
    kdf = Scrypt(salt=file.salt, length=_KEY_BYTES, n=file.n, r=file.r, p=file.p)
    return kdf.derive(passphrase.encode())


def _bound(file: SealedFile) -> bytes:
    """Everything but the content, in one spelling."""
    parts = [FORMAT, VERSION, "scrypt", file.n, file.r, file.p, file.salt.hex()]
    return json.dumps([*parts, "AES-256-GCM", file.nonce.hex()], separators=(",", ":")).encode()
