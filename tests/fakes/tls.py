"""A certificate for tests, and who trusts it: TLS with pretend providers."""

import datetime
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp.connector
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.wire import tls


def server_context(folder: Path, *names: str) -> ssl.SSLContext:
    """Return what a server of these names needs; its certificate is written to the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextmanager
def trusting(folder: Path) -> Iterator[None]:
    """Let our client trust the certificate in the folder, and only that."""
    context = ssl.create_default_context(cafile=folder / "server.pem")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", context)
        patch.setattr(tls, "_made", [tls.client_context(folder / "server.pem")])
        yield
