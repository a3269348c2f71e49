"""How accounts of one provider log in, with the operator's own client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from models.account import OAuthClient

FlowKind: TypeAlias = Literal["code", "device"]
"""`code`: in a browser; `device`: on another device."""


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """Facts about a client and the addresses around it; an empty address means there is none."""

    provider_id: str
    client: OAuthClient
    authorize_url: str = ""
    device_url: str = ""
    userinfo_url: str = ""
    redirect_uri: str = ""
    """Empty: the callback page of this gateway."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    sends_state: bool = False
    identity: str = "email"
    """Where the identity stands, see auth/identity.py."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Names of metadata, and where each stands."""
    device: str = "rfc8628"
    """`rfc8628` or `openai`."""
    issuer: str | None = None

    @property
    def flows(self) -> tuple[FlowKind, ...]:
        """Ways to log in."""
        ways: tuple[tuple[FlowKind, str], ...] = (
            ("code", self.authorize_url),
            ("device", self.device_url),
        )
        return tuple(name for name, url in ways if url)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Every address that the gateway itself or a browser is sent to, by its setting."""
        named = {
            "authorize_url": self.authorize_url,
            "token_url": self.client.token_url,
            "device_url": self.device_url,
            "userinfo_url": self.userinfo_url,
        }
        return {name: url for name, url in named.items() if url}
