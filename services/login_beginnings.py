"""What must hold before a login begins, in a browser or on another device."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auth.provider_login import FlowKind, ProviderLogin
from models.account import Account, AuthType, EgressPolicy
from models.egress import EgressProxy
from models.errors import NotFound
from openapi.addresses import WEB_SCHEMES
from openapi.oauth import DeviceBegin
from repositories.base import AccountRepository, OAuthFlow, ProviderRepository
from services.guard import AddressGuard
from services.login_accounts import NewAccount
from services.login_flows import Flows
from services.providers import auth_types_of
from services.refusals import check_address, refused
from services.ways_out import WaysOut


@dataclass(frozen=True, slots=True)
class Beginning:
    """A login that may begin."""

    login: ProviderLogin
    egress: EgressProxy | None
    wishes: Mapping[str, str] = field(repr=False)
    """What the flow must remember for the account that comes of it."""


class Beginnings:
    """Checks what an operator asks for, and chooses the way out."""

    def __init__(
        self,
        logins: Mapping[str, ProviderLogin],
        accounts: AccountRepository,
        providers: ProviderRepository,
        ways: WaysOut,
        flows: Flows,
        guard: AddressGuard,
        *,
        default_policy: EgressPolicy,
    ) -> None:
        self.logins = logins
        """By provider id."""
        self._accounts = accounts
        self._providers = providers
        self._ways = ways
        self._flows = flows
        self._guard = guard
        self._default_policy = default_policy

    async def checked(self, body: DeviceBegin, key_id: str, kind: FlowKind) -> Beginning:
        """Raises Unprocessable for what cannot be, NoCapacity without a way out."""
        login = self.logins.get(body.provider_id)
        if login is None:
            known = ", ".join(sorted(self.logins)) or "nobody"
            raise refused(
                "provider_id",
                f"oauth.clients has no client for {body.provider_id!r}; it has for: {known}",
            )
        if kind not in login.flows:
            address = "authorize_url" if kind == "code" else "device_url"
            raise refused("provider_id", f"its client has no {address}")
        await self._check_provider(body.provider_id)
        for name, url in login.addresses.items():
            path = f"oauth.clients[{body.provider_id}][{name}]"
            await check_address(self._guard, url, schemes=WEB_SCHEMES, path=path)
        await self._flows.check_room(key_id)
        wishes = {"label": body.label, "egress_policy": body.egress_policy or ""}
        return Beginning(login, await self._way(body), wishes)

    async def way_of(self, flow: OAuthFlow) -> EgressProxy | None:
        """Return the way out of a login that has begun: of its account, or of the new one.

        Raises NotFound when the account is gone, NoCapacity without a way out.
        """
        if flow.account_id is not None:
            return self._ways.of_account(await self._account(flow.account_id))
        policy = self._policy(flow.secrets.get("egress_policy"))
        return self._ways.of_new(flow.provider_id, policy, flow.proxy_id)

    def login_of(self, flow: OAuthFlow) -> ProviderLogin:
        """Raises NotFound when the client was taken out of the settings meanwhile."""
        login = self.logins.get(flow.provider_id)
        if login is None:
            raise NotFound("oauth.clients has no client for this provider any more")
        return login

    def wanted(self, flow: OAuthFlow, egress: EgressProxy | None) -> NewAccount:
        """Return what a new account shall be like."""
        return NewAccount(
            flow.provider_id,
            flow.secrets.get("label", ""),
            self._policy(flow.secrets.get("egress_policy")),
            egress.id if egress is not None else None,
        )

    async def _check_provider(self, provider_id: str) -> None:
        row = await self._providers.get(provider_id)
        if row is None:
            raise refused("provider_id", f"there is no provider {provider_id!r}")
        if AuthType.OAUTH not in auth_types_of(row):
            raise refused("provider_id", "its accounts do not sign with OAuth tokens")

    async def _way(self, body: DeviceBegin) -> EgressProxy | None:
        if body.account_id is not None:
            return await self._way_of_known(body, body.account_id)
        policy = self._policy(body.egress_policy)
        if body.proxy_id is not None:
            if policy is EgressPolicy.DIRECT:
                raise refused("proxy_id", "contradicts the egress policy `direct`")
            self._ways.check(body.provider_id, body.proxy_id)
        return self._ways.of_new(body.provider_id, policy, body.proxy_id)

    async def _way_of_known(self, body: DeviceBegin, account_id: str) -> EgressProxy | None:
        for name in ("egress_policy", "proxy_id"):
            if getattr(body, name) is not None:
                raise refused(name, "an account that logs in again keeps its own")
        account = await self._account(account_id)
        if account.provider_id != body.provider_id:
            raise refused("account_id", "the account belongs to another provider")
        return self._ways.of_account(account)

    async def _account(self, account_id: str) -> Account:
        stored = await self._accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        return stored.account

    def _policy(self, named: str | None) -> EgressPolicy:
        return EgressPolicy(named) if named else self._default_policy
