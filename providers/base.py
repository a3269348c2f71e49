"""What an upstream service is: where it lives, how it is signed, how its failures read. No IO."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dialects.base import Adapt, Dialect
from models.account import Account, Credentials
from models.exchange import UpstreamRequest
from models.profile import ProfileOf
from providers.failures import Diagnose
from providers.signing import Sign


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream service, built in or made by the operator."""

    id: str
    name: str
    dialects: tuple[Dialect, ...]
    base_url: str
    """In the form that the provider's official SDK takes."""
    sign: Sign
    diagnose: Diagnose
    profile: ProfileOf
    prefixes: tuple[str, ...] = ()
    adapt: Adapt | None = None
    """Edits that a payload in the provider's dialect needs; None when it passes as it is."""
    reports_stream_usage: bool = False
    """Usage comes with every stream, so it must not be asked for (`stream_options`)."""
    fixed_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every call unless the client's own come through, such as a protocol version."""

    def dialect_for(self, client: str) -> Dialect:
        """Return the client's own dialect where the provider speaks it, else the first."""
        for dialect in self.dialects:
            if dialect.name == client:
                return dialect
        return self.dialects[0]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request may go: a provider and the name it knows the model by."""

    provider: Provider
    model: str


def build_request(
    provider: Provider,
    dialect: Dialect,
    body: bytes,
    *,
    stream: bool,
    account: Account,
    credentials: Credentials,
    client_headers: Mapping[str, str],
    user_agent: str,
) -> UpstreamRequest:
    """Build the HTTP request of one model call, headers from an allow-list only."""
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        "user-agent": user_agent,
    }
    headers.update(provider.fixed_headers)
    headers.update(client_headers)
    provider.sign(headers, account, credentials)
    url = provider.base_url + dialect.upstream_path
    return UpstreamRequest("POST", url, headers, body)
