"""A gateway with a secret in every slot, and what is done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.e2e.harness import PROVIDER_IDS, Rig
from tests.fakes.idp import FakeIdp
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.security.canaries import Canaries, Seen
from tests.security.formats import FORMS
from tests.security.requests import PATHS, PLAIN

QUICK = {
    f"AIGATEWAY_COOLDOWN__{name}_S": "0.001"
    for name in ("RATE_LIMITED", "FAILED", "REJECTED", "EGRESS", "OVERLOADED", "LONGEST_OVERLOADED")
} | {"AIGATEWAY_BREAKER__FAILURES": "1000000"}
"""Settings with which a failure keeps nobody waiting, however many there are."""


@dataclass
class Stage:
    """The gateway with a secret in every slot, and the pretend world around it."""

    rig: Rig
    canaries: Canaries
    idp: FakeIdp
    proxy: FakeProxy
    socks: FakeSocks
    seen: Seen = field(default_factory=Seen)

    async def api(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call `/api/v1` and keep what it answers, whatever that is."""
        headers = {"x-api-key": self.rig.admin_key}
        url = f"{self.rig.url}/api/v1{path}"
        async with self.rig.http.request(method, url, json=body, headers=headers) as response:
            await self.seen.note(response)
            return await response.json() if response.status != 204 else None

    async def reset(self, provider_id: str) -> None:
        """Let the accounts of a provider serve again."""
        for account in (await self.api("GET", f"/accounts?provider_id={provider_id}"))["data"]:
            await self.api("POST", f"/accounts/{account['id']}/reset")

    async def ask_by_query(self, path: str, body: Mapping[str, object]) -> None:
        """Call with the key in the query, whether it is taken there or not."""
        url = f"{self.rig.url}{path}?key={self.rig.key}"
        self.seen.texts.append(await self._text_of(url, body))

    async def _text_of(self, url: str, body: Mapping[str, object]) -> str:
        async with self.rig.http.post(url, json=body) as response:
            return f"{response.headers} {await response.text()}"

    async def ask(self, path: str, body: Mapping[str, object]) -> int:
        """Call a model and keep the answer."""
        response = await self.rig.post(path, body)
        await self.seen.note(response)
        return response.status


async def set_up(rig: Rig, canaries: Canaries) -> Stage:
    """Plant the secrets."""
    idp = FakeIdp(client_secret=canaries["client_secret"])
    runner = await idp.start()
    rig.stack.push_async_callback(runner.cleanup)
    proxy = FakeProxy("user", canaries["proxy password"])
    socks = FakeSocks("user", canaries["socks password"])
    stage = Stage(rig, canaries, idp, proxy, socks)
    for way, slot, provider_id in (
        (proxy, "proxy password", "anthropic"),
        (socks, "socks password", "openai"),
    ):
        await way.start()
        rig.stack.push_async_callback(way.stop)
        password = quote(canaries[slot], safe="")
        url = f"{way.scheme}://user:{password}@127.0.0.1:{way.port}"
        body = {"url": url, "provider_id": provider_id, "max_accounts": 9}
        assert "id" in await stage.api("POST", "/proxies", body)
    for kind in PROVIDER_IDS:
        await rig.add_provider(kind, accounts=0)
    await _add_accounts(stage)
    return stage


async def _add_accounts(stage: Stage) -> None:
    canaries, idp = stage.canaries, stage.idp
    refresh = idp.add_family(canaries["idp family"])
    data = {
        "refresh_token": refresh,
        "token_url": f"{idp.url}/token",
        "client_id": "client-1",
        "client_secret": canaries["client_secret"],
        "token_params": {"audience": canaries["token_params"]},
    }
    for provider_id, auth_type, given in (
        ("anthropic", "api_key", {"api_key": canaries["api_key"]}),
        ("openai", "api_key", {"api_key": canaries["api_key chat"]}),
        ("openai", "bearer", {"token": canaries["token"]}),
        ("gemini", "api_key", {"api_key": canaries["api_key google"]}),
        ("antigravity", "bearer", {"token": canaries["token google"]}),
        ("glm", "oauth", data),
    ):
        body: dict[str, object] = {
            "provider_id": provider_id,
            "auth_type": auth_type,
            "auth_data": given,
        }
        if provider_id == "glm":
            body["models"] = ["glm-fake"]
        assert "id" in await stage.api("POST", "/accounts", body)


async def serve(stage: Stage) -> None:
    """Answer every kind of request once, and change what can be changed."""
    for dialect, path in PATHS.items():
        for model in ("claude-fake", "gpt-fake", "glm-fake"):
            for stream in (False, True):
                await stage.ask(path, {**PLAIN[dialect], "model": model, "stream": stream})
    for number, form in enumerate(FORMS.values()):
        for model in ("gemini/gemini-3-fake", "antigravity/gemini-3-fake"):
            stream = form.can_stream and number % 2 == 0
            await stage.ask(form.at(model, stream=stream), form.asking(model, stream=stream))
        await stage.ask_by_query(form.at("gpt-fake"), form.asking("gpt-fake"))
    accounts = (await stage.api("GET", "/accounts"))["data"]
    for account in accounts:
        await stage.api("PATCH", f"/accounts/{account['id']}", {"label": "changed"})
    for proxy in (await stage.api("GET", "/proxies"))["data"]:
        # As it was shown, the password masked.
        await stage.api("PATCH", f"/proxies/{proxy['id']}", {"url": proxy["url"]})
        await stage.api("PATCH", f"/proxies/{proxy['id']}", {"label": "changed"})


async def fail_on_the_way(stage: Stage) -> None:
    """Let proxies refuse, break and vanish."""
    for way, model in ((stage.proxy, "claude-fake"), (stage.socks, "gpt-fake")):
        password, way.password = way.password, "another"
        for dialect, path in PATHS.items():
            await stage.ask(path, {**PLAIN[dialect], "model": model})
        way.password, way.mode = password, "drop"
        await stage.ask("/v1/messages", {**PLAIN["messages"], "model": model})
        way.mode = "serve"


async def misuse(stage: Stage) -> None:
    """Send secrets where they are refused: the refusal must not repeat them."""
    canaries = stage.canaries
    key, url, proxy = (canaries[f"refused {slot}"] for slot in ("api_key", "token_url", "proxy"))
    account = {"provider_id": "anthropic", "auth_type": "api_key"}
    oauth = {"refresh_token": key, "client_id": "c"}
    for body in (
        {**account, "auth_data": {"api_key": key + "\n"}},
        {**account, "auth_data": {"api_key": [key]}},
        {**account, "auth_data": {"api_key": "k", key: "x"}},
        {**account, "auth_data": key},
        {**account, "auth_data": {"token": key}},
        {**account, "auth_type": key, "auth_data": {"api_key": "k"}},
        {**account, "auth_data": {"api_key": "k"}, "priority": key},
        {**account, "auth_data": {"api_key": "k"}, "is_active": key},
        {**account, "auth_data": {"api_key": "k"}, "provider_id": key},
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"https://x y/{url}"},
        },
        {**account, "auth_type": "oauth", "auth_data": {**oauth, "token_url": f"file:///{url}"}},
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"http://10.1.1.1/{url}"},
        },
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"http://u:{url}@x.test/"},
        },
        {**account, "auth_type": "oauth", "auth_data": {**oauth, "client_secret": key + "\u00e9"}},
    ):
        await stage.api("POST", "/accounts", body)
    for address in (
        f"http://u:{proxy}@127.0.0.1",
        f"ftp://u:{proxy}@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@127.0.0.1:1/path",
        f"http://u:{quote(proxy, safe='')}%0a@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@10.1.1.1:1",
        f"http://u:{quote(proxy, safe='')}@[::1:1",
        f"u:{proxy}@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@127.0.0.1:99999",
    ):
        await stage.api("POST", "/proxies", {"url": address})
    existing = stage.proxy
    password = quote(canaries["proxy password"], safe="")
    same = f"http://user:{password}@127.0.0.1:{existing.port}"
    await stage.api("POST", "/proxies", {"url": same})  # 409: it is there already
    for header in ("x-api-key", "authorization"):
        for wrong in (
            canaries["admin key"] + "x",
            canaries["api_key"],
            f"Bearer {canaries['token']}",
        ):
            response = await stage.rig.http.get(
                f"{stage.rig.url}/api/v1/accounts", headers={header: wrong}
            )
            await stage.seen.note(response)


async def look_around(stage: Stage) -> None:
    """Read everything that an operator or a stranger can read."""
    for path in (
        "/openapi.json",
        "/docs",
        "/health",
        "/health/live",
        "/health/ready",
        "/v1/models",
    ):
        headers = {"x-api-key": stage.rig.admin_key}
        await stage.seen.note(await stage.rig.http.get(stage.rig.url + path, headers=headers))
    for path in ("/accounts", "/proxies", "/providers", "/api-keys"):
        for entry in (await stage.api("GET", f"{path}?limit=500"))["data"]:
            await stage.api("GET", f"{path}/{entry['id']}")
            if path == "/proxies":
                await stage.api("GET", f"{path}/{entry['id']}/assignments")
                await stage.api("GET", f"/stats/proxies/{entry['id']}?days=3")
    for path in ("/proxies/assignments", "/stats/summary", "/stats/logs?limit=500"):
        await stage.api("GET", path)
