"""A pretend token server that rotates strictly: a refresh token used twice kills its family.

It speaks forms and JSON, counts what it was asked, and fails on demand. `python -m
tests.fakes.idp --port 0` runs it alone; `GET /state` then tells what it saw.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from aiohttp import web

Behaviour = str
"""`ok`, `500`, `502`, `html`, `malformed`, `throttle`, `invalid_client`, `hang` (nothing happens),
`drop` (the connection breaks before anything happens), `commit_drop` (the token is rotated, and
then the connection breaks), `commit_hang` (it is rotated, and no answer comes)."""

_FORM: Final = "application/x-www-form-urlencoded"
_STATUSES: Final = {"500": 500, "502": 502, "throttle": 429, "html": 200, "malformed": 200}


@dataclass
class Family:
    """The tokens that descend from one login."""

    refresh: str
    access: str = ""
    number: int = 0
    is_dead: bool = False


@dataclass(frozen=True)
class Asked:
    """One token request."""

    fields: Mapping[str, str]
    content_type: str
    user_agent: str


@dataclass
class FakeIdp:
    """State and behaviour of the token server."""

    rotates: bool = True
    expires_in: float | str | None = 3600
    """None leaves it out of the answers."""
    latency_s: float = 0.0
    behaviours: list[Behaviour] = field(default_factory=list)
    """Used up in order; `ok` when none is left."""
    always: Behaviour = "ok"
    client_secret: str | None = None
    asked: list[Asked] = field(default_factory=list)
    families: dict[str, Family] = field(default_factory=dict)
    """By name."""
    counts: Counter[str] = field(default_factory=Counter)
    """`calls`, `refreshed` and `reused`."""
    url: str = ""
    _owners: dict[str, str] = field(default_factory=dict)

    def add_family(self, name: str) -> str:
        """Log somebody in; returns the first refresh token."""
        family = self.families[name] = Family(f"refresh-{name}-0")
        self._owners[family.refresh] = name
        return family.refresh

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_get("/state", self._state)
        app.router.add_post("/families/{name}", self._login)
        return app

    async def start(self, port: int = 0) -> web.AppRunner:
        """Listen on loopback; sets `url`. The caller cleans the runner up."""
        runner = web.AppRunner(
            self.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _token(self, request: web.Request) -> web.StreamResponse:
        asked = await _read(request)
        self.asked.append(asked)
        self.counts["calls"] += 1
        behaviour = self.behaviours.pop(0) if self.behaviours else self.always
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        match behaviour:
            case "ok":
                return self._answer(asked.fields)
            case "hang":
                await asyncio.sleep(3600)
            case "commit_hang":
                self._answer(asked.fields)
                await asyncio.sleep(3600)
            case "commit_drop":
                self._answer(asked.fields)
                return _dropped(request)
            case "drop":
                return _dropped(request)
            case "invalid_client":
                return web.json_response({"error": "invalid_client"}, status=401)
            case _:
                pass
        headers = {"Retry-After": "7"} if behaviour == "throttle" else {}
        text = "{" if behaviour == "malformed" else "<html>canary of the body</html>"
        return web.Response(text=text, status=_STATUSES[behaviour], headers=headers)

    def _answer(self, fields: Mapping[str, str]) -> web.Response:
        if fields.get("grant_type") != "refresh_token" or not fields.get("client_id"):
            return web.json_response({"error": "invalid_request"}, status=400)
        if fields.get("client_secret") != self.client_secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        family = self.families.get(self._owners.get(fields.get("refresh_token", ""), ""))
        if family is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if family.is_dead or fields["refresh_token"] != family.refresh:
            self.counts["reused"] += 1
            family.is_dead = True
            return web.json_response(
                {"error": {"code": "refresh_token_reused", "message": "canary"}}, status=401
            )
        return web.json_response(self._rotated(family))

    def _rotated(self, family: Family) -> dict[str, object]:
        self.counts["refreshed"] += 1
        family.number += 1
        name = self._owners[family.refresh]
        family.access = f"access-{name}-{family.number}"
        answer: dict[str, object] = {"access_token": family.access, "token_type": "Bearer"}
        if self.rotates:
            family.refresh = f"refresh-{name}-{family.number}"
            self._owners[family.refresh] = name
            answer["refresh_token"] = family.refresh
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return answer

    async def _login(self, request: web.Request) -> web.Response:
        return web.json_response({"refresh_token": self.add_family(request.match_info["name"])})

    async def _state(self, _request: web.Request) -> web.Response:
        families = {name: asdict(family) for name, family in self.families.items()}
        return web.json_response({"counts": self.counts, "families": families})


async def _read(request: web.Request) -> Asked:
    content_type = request.content_type
    fields = await request.post() if content_type == _FORM else await request.json()
    texts = {name: str(value) for name, value in fields.items()}
    return Asked(texts, content_type, request.headers.get("user-agent", ""))


def _dropped(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    arguments = parser.parse_args()
    idp = FakeIdp(latency_s=arguments.latency)
    await idp.start(arguments.port)
    print(idp.url, flush=True)  # noqa: T201 - the parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
