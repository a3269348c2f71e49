"""The connections of the SDKs: without a reading of all certificates for each client."""

import ssl
from typing import Final

import httpx2

_TLS: Final = ssl.create_default_context()


def http_client() -> httpx2.AsyncClient:
    """Return a client of its own, which the SDK closes."""
    return httpx2.AsyncClient(verify=_TLS, timeout=60, follow_redirects=True)
