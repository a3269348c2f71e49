"""Proof Key for Code Exchange (RFC 7636), always with S256."""

import base64
import hashlib
import secrets


def new_verifier() -> str:
    """Return 43 characters that hold 256 random bits."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """Return what the authorization server is shown of a verifier beforehand."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
