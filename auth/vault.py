"""Secrets at rest: sealed with AES-256-GCM, each bound to the one place where it lies.

A sealed value is `v1.<kid>.<base64url of nonce and ciphertext>`. Table, column and row are part
of what is authenticated, so a ciphertext that was moved to another row does not open. One master
key suffices: the keys of keyed hashes are derived from it (`Vault.subkey`).
"""

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models.errors import GatewayError

MASTER_KEY_BYTES = 32

_VERSION = "v1"
_NONCE_BYTES = 12
_KID = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)


class VaultError(GatewayError):
    """A secret cannot be sealed or opened, or the master key is missing or unfit.

    The message names the place, never the content.
    """


class Vault:
    """Seals with the current key, opens with any of its keys."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        """Take keys of 32 bytes by key id. Derived keys come from the first of them, which is
        the oldest: adding a key and sealing with it leaves every keyed hash as it was."""
        if current not in keys:
            raise VaultError(f"the current key {current!r} is not among the vault's keys")
        for kid, key in keys.items():
            if _KID.fullmatch(kid) is None:
                raise VaultError("a key id is 1 to 32 letters, digits, `-` or `_`")
            if len(key) != MASTER_KEY_BYTES:
                raise VaultError(f"key {kid!r} has {len(key)} bytes, not {MASTER_KEY_BYTES}")
        self._ciphers = {kid: AESGCM(_derive(key, "seal")) for kid, key in keys.items()}
        self._root = next(iter(keys.values()))
        self.current = current

    @classmethod
    def of(cls, master_key: bytes) -> "Vault":
        """Make the vault of one master key; its key id is a fingerprint of it."""
        if len(master_key) != MASTER_KEY_BYTES:
            raise VaultError(f"the master key has {len(master_key)} bytes, not {MASTER_KEY_BYTES}")
        kid = _derive(master_key, "fingerprint")[:4].hex()
        return cls({kid: master_key}, kid)

    def __repr__(self) -> str:
        return f"Vault(current={self.current!r}, keys={sorted(self._ciphers)})"

    @property
    def kids(self) -> frozenset[str]:
        """Ids of the keys that it opens with."""
        return frozenset(self._ciphers)

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: str) -> str:
        """Encrypt for one place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound = _bound(self.current, table, column, row_id)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, plaintext, bound)
        return f"{_VERSION}.{self.current}.{_encoded(sealed)}"

    def open(self, sealed: str, *, table: str, column: str, row_id: str) -> bytes:
        """Decrypt what was sealed for this very place; everything else is a VaultError."""
        place = f"{table}.{column} of {row_id}"
        version, _, rest = sealed.partition(".")
        kid, _, text = rest.partition(".")
        if version != _VERSION:
            raise VaultError(f"{place} is not a sealed value")
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise VaultError(f"{place} was sealed with a master key that is not at hand")
        try:
            data = _decoded(text)
            bound = _bound(kid, table, column, row_id)
            return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound)
        # The cause may hold parts of the value in its frames: it is not chained.
        except (InvalidTag, ValueError):
            raise VaultError(f"{place} was changed or moved, and does not open") from None

    def subkey(self, purpose: str) -> bytes:
        """Return 32 bytes for one keyed hash, such as `api_keys.key_hash`."""
        return _derive(self._root, f"subkey/{purpose}")


def parse_master_key(text: str) -> bytes:
    """Read a master key as settings and files hold it: 32 bytes as base64url."""
    try:
        key = _decoded(text.strip().rstrip("="))
    except ValueError:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise VaultError("a master key is 32 random bytes as base64url, which is 43 characters")
    return key


def read_master_key(path: Path) -> bytes:
    """Read the master key from a file that only its owner can read.

    Without it nothing starts: stored credentials would be unreadable. There is no fallback.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1024)
    except OSError as error:
        raise VaultError(
            f"the master key file {path} cannot be read ({error.strerror}); restore it from a "
            "backup, or run `aigateway init` for a new installation"
        ) from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise VaultError(f"others may read the master key file {path}; run: chmod 600 {path}")
    try:
        return parse_master_key(text.decode("ascii", "replace"))
    except VaultError as error:
        raise VaultError(f"{path}: {error.message}") from None


def create_master_key(path: Path) -> bytes:
    """Make a master key and write it to a new file of mode 0600; raises FileExistsError.

    The file appears whole or not at all, also when the machine stops in between.
    """
    key = secrets.token_bytes(MASTER_KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encoded(key).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces a key that is there already.
        os.link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    _sync_directory(path.parent)
    return key


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derive(key: bytes, purpose: str) -> bytes:
    info = f"aigateway/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)


def _bound(kid: str, *place: str) -> bytes:
    """Join the parts so that different places never give the same bytes."""
    parts = [part.encode() for part in (_VERSION, kid, *place)]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Decode base64url without padding; only the one spelling of a value counts."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _encoded(data) != text:
        raise ValueError("not the canonical base64url")
    return data
