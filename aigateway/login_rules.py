"""The settings of logins, as the services take them."""

from auth.provider_login import ProviderLogin
from config.login_client import LoginClient
from config.settings import Settings
from models.account import EgressPolicy, OAuthClient
from services.oauth import LoginRules


def login_rules(settings: Settings) -> LoginRules:
    """Return what `oauth` and what goes with it say."""
    clients = settings.oauth.clients
    return LoginRules(
        {provider_id: _login(provider_id, client) for provider_id, client in clients.items()},
        public_url=settings.oauth.public_url,
        flow_ttl_s=settings.oauth.flow_ttl_s,
        http_timeout_s=settings.tokens.http_timeout_s,
        default_policy=EgressPolicy(settings.egress.default_policy),
    )


def _login(provider_id: str, chosen: LoginClient) -> ProviderLogin:
    secret = chosen.client_secret
    client = OAuthClient(
        token_url=chosen.token_url,
        client_id=chosen.client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        scopes=chosen.scopes,
        token_body=chosen.token_body,
        client_auth=chosen.client_auth,
        token_params={
            name: value.get_secret_value() for name, value in chosen.token_params.items()
        },
    )
    return ProviderLogin(
        provider_id=provider_id,
        client=client,
        authorize_url=chosen.authorize_url,
        device_url=chosen.device_url,
        userinfo_url=chosen.userinfo_url,
        redirect_uri=chosen.redirect_uri,
        authorize_params=dict(chosen.authorize_params),
        sends_state=chosen.sends_state,
        identity=chosen.identity,
        facts=dict(chosen.facts),
        device=chosen.device,
        issuer=chosen.issuer,
    )
