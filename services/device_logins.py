"""Logins on another device: a short code is shown here and typed in there (RFC 8628).

Nothing runs in between: whoever began the login asks how it stands, on any replica, and the
provider is asked along, never more often than it wants.
"""

from dataclasses import dataclass
from typing import Final

from auth.device import INTERVAL_S, DeviceLogin
from auth.token_failures import PENDING, RefreshError, RefreshRejected, RefreshThrottled
from models.errors import BadRequest
from openapi.oauth import DeviceBegin
from repositories.base import OAuthFlow, SharedState
from services.login_beginnings import Beginnings
from services.login_calls import LoginCalls
from services.login_ends import LoginEnds
from services.login_failures import told
from services.login_flows import Flows, check_owner

_LONGEST_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class DeviceState:
    """How it stands, and when to ask again."""

    flow: OAuthFlow
    retry_after_s: float | None = None


class DeviceLogins:
    """The device flow."""

    def __init__(
        self,
        beginnings: Beginnings,
        flows: Flows,
        calls: LoginCalls,
        ends: LoginEnds,
        shared: SharedState,
    ) -> None:
        self._beginnings = beginnings
        self._flows = flows
        self._calls = calls
        self._ends = ends
        self._shared = shared

    async def begin(self, body: DeviceBegin, key_id: str) -> tuple[OAuthFlow, DeviceLogin]:
        """Ask the provider for a code to show."""
        beginning = await self._beginnings.checked(body, key_id, "device")
        login, egress = beginning.login, beginning.egress
        try:
            device = await self._calls.begin_device(login, egress)
        except RefreshError as error:
            raise told(error) from error
        flow = await self._flows.begin(
            "device",
            device.device_code,
            provider_id=login.provider_id,
            key_id=key_id,
            secrets={
                **beginning.wishes,
                "device_code": device.device_code,
                "user_code": device.user_code,
                "interval_s": str(device.interval_s),
            },
            proxy_id=egress.id if egress is not None else None,
            account_id=body.account_id,
            ttl_s=device.expires_in_s,
        )
        return flow, device

    async def poll(self, flow_id: str, key_id: str) -> DeviceState:
        """Tell how a login stands; ask the provider if it is time to.

        Raises NotFound, Forbidden for that of another key, Conflict for that of another account.
        """
        flow = await self._flows.of_id(flow_id)
        check_owner(flow, key_id)
        if flow.kind != "device":
            raise BadRequest("flow_id: this login ends in a browser", path="flow_id")
        if self._flows.status(flow) != "pending":
            return DeviceState(flow)
        interval_s = await self._interval_s(flow)
        if not await self._shared.claim(_turn(flow), interval_s):
            return DeviceState(flow, interval_s)
        return await self._ends.to_its_end(self._asked(flow, interval_s))

    async def _asked(self, flow: OAuthFlow, interval_s: float) -> DeviceState:
        login = self._beginnings.login_of(flow)
        egress = await self._beginnings.way_of(flow)
        try:
            granted = await self._calls.poll_device(login, flow.secrets, egress)
        except RefreshRejected as error:
            await self._flows.use(flow)
            return DeviceState(await self._flows.finish(flow, error.reason))
        except RefreshError as error:
            return DeviceState(flow, await self._later(flow, error, interval_s))
        await self._flows.use(flow)
        return DeviceState(await self._ends.settled(flow, granted, egress))

    async def _later(self, flow: OAuthFlow, error: RefreshError, interval_s: float) -> float:
        """Return when to ask again: as ever, later from now on, or later once."""
        if error.reason == PENDING:
            return interval_s
        if isinstance(error, RefreshThrottled):
            interval_s = min(max(interval_s + INTERVAL_S, error.retry_after_s or 0.0), _LONGEST_S)
            left_s = self._flows.ttl_s + _LONGEST_S
            await self._shared.put(_pace(flow), str(interval_s).encode(), left_s)
        else:
            interval_s = min(interval_s * 2, _LONGEST_S)
        await self._shared.touch(_turn(flow), interval_s)
        return interval_s

    async def _interval_s(self, flow: OAuthFlow) -> float:
        slowed = await self._shared.get(_pace(flow))
        return float(slowed or flow.secrets["interval_s"])


def _turn(flow: OAuthFlow) -> str:
    return f"oauth:turn:{flow.id}"


def _pace(flow: OAuthFlow) -> str:
    return f"oauth:pace:{flow.id}"
