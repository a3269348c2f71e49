"""A certificate for tests, and who trusts it: TLS with pretend providers."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp.connector
import pytest

from benchmarks import certificate
from services.wire import tls


def server_context(folder: Path, *names: str) -> ssl.SSLContext:
    """Return what a server of these names needs; its certificate is written to the folder."""
    return certificate.make(folder, *names).server_context()


@contextmanager
def trusting(folder: Path) -> Iterator[None]:
    """Let our client trust the certificate in the folder, and only that."""
    context = ssl.create_default_context(cafile=folder / "server.pem")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", context)
        patch.setattr(tls, "_made", [tls.client_context(folder / "server.pem")])
        yield
