"""Logins over `/api/v1/oauth` against a strict identity provider; the browser is played by hand."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlalchemy import select

from auth.provider_login import ProviderLogin
from handlers.login_pages import HEADERS
from models.account import OAuthClient
from repositories.sql.tables import oauth_flows
from services.login_flows import MAX_PENDING
from services.oauth import LoginRules
from tests.fakes.login_idp import LoginIdp
from tests.fakes.proxies import FakeProxy
from tests.handlers.api import Api, Told, running_api

BASE = "/api/v1/oauth"
PUBLIC_URL = "https://gateway.example"
CALLBACK = f"{PUBLIC_URL}/oauth/callback/openai"


@dataclass
class Rig:
    """The API and the provider behind it."""

    api: Api
    idp: LoginIdp

    async def begin(self, **fields: object) -> Told:
        return await self.api.made(f"{BASE}/init", {"provider_id": "openai", **fields})

    async def exchange(self, text: str, **fields: object) -> Told:
        return await self.api.call("POST", f"{BASE}/exchange", {"text": text, **fields})

    async def logged_in(self, user: str = "ann", **fields: object) -> str:
        """Log somebody in; returns the account's id."""
        begun = await self.begin(**fields)
        told = await self.exchange(self.idp.redirected(str(begun.json["authorize_url"]), user))
        assert told.status == 200, told.text
        return str(told.json["account_id"])

    async def device(self, **fields: object) -> Told:
        return await self.api.made(f"{BASE}/device", {"provider_id": "openai", **fields})

    async def poll(self, flow_id: object) -> Told:
        return await self.api.call("POST", f"{BASE}/device/poll", {"flow_id": flow_id})

    async def account(self, account_id: object) -> Told:
        return await self.api.get(f"/api/v1/accounts/{account_id}")


def provider_login(idp: LoginIdp, **changes: object) -> ProviderLogin:
    client = OAuthClient(f"{idp.url}/token", "client-1", scopes=("openid", "offline access"))
    login = ProviderLogin(
        "openai",
        client,
        authorize_url=f"{idp.url}/authorize?tenant=a%20b",
        device_url=f"{idp.url}/device",
        userinfo_url=f"{idp.url}/userinfo",
        authorize_params={"prompt": "consent"},
        facts={"chatgpt_account_id": "https://x/y.org", "missing": "nowhere"},
    )
    return replace(login, **changes)  # type: ignore[arg-type] # names are checked at run time


async def _opened(**changes: object) -> AsyncIterator[Rig]:
    idp = LoginIdp(redirect_uris={CALLBACK})
    runner = await idp.start()
    rules = LoginRules({"openai": provider_login(idp, **changes)}, public_url=PUBLIC_URL)
    try:
        async with running_api(networks=["127.0.0.0/8"], logins=rules) as api:
            yield Rig(api, idp)
    finally:
        await runner.cleanup()


@pytest.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async for opened in _opened(**getattr(request, "param", {})):
        yield opened


def with_login(**changes: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rig", [changes], indirect=True, ids=["changed"])


@pytest.mark.parametrize(
    "host",
    ["evil.test:99999", "evil.test:abc", "x/#@evil.test", "u:p@evil.test", "a b", "[::1", "a,b"],
)
async def test_a_host_that_is_none_begins_no_login(rig: Rig, host: str) -> None:
    body = {"provider_id": "openai"}
    told = await rig.api.call("POST", f"{BASE}/init", body, headers={"Host": host})
    assert (told.status, told.error["code"]) == (400, "invalid_request")
    assert host not in told.text
    for path in ("/oauth/start/x", "/oauth/callback/openai?code=a&state=b"):
        assert (await rig.api.call("GET", path, headers={"Host": host})).status == 400


# --- beginning --------------------------------------------------------------------------------


async def test_providers_say_how_their_accounts_log_in(rig: Rig) -> None:
    told = await rig.api.get(f"{BASE}/providers")
    assert told.data == [
        {
            "provider_id": "openai",
            "flows": ["code", "device"],
            "redirect_uri": CALLBACK,
            "scopes": ["openid", "offline access"],
        }
    ]


async def test_a_login_begins_with_pkce_and_a_state_that_nobody_stores(rig: Rig) -> None:
    begun = await rig.begin()
    address = urlsplit(str(begun.json["authorize_url"]))
    query = {name: texts[0] for name, texts in parse_qs(address.query).items()}
    assert query["tenant"] == "a b"
    assert (query["prompt"], query["scope"]) == ("consent", "openid offline access")
    assert (query["redirect_uri"], query["code_challenge_method"]) == (CALLBACK, "S256")
    assert begun.json["redirect_uri"] == CALLBACK
    assert begun.json["start_url"] == f"{PUBLIC_URL}/oauth/start/{query['state']}"
    rows = await rig.api.stores.db.read(
        lambda connection: connection.execute(select(oauth_flows)).all()
    )
    assert query["state"] not in repr(rows)
    assert len(query["state"]) >= 43
    again = await rig.begin()
    assert query["code_challenge"] not in str(again.json["authorize_url"])
    assert rig.idp.asked_paths == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"provider_id": "anthropic"}, "provider_id"),
        ({"proxy_id": "0" * 32}, "proxy_id"),
        ({"redirect": "elsewhere"}, "redirect"),
        ({"account_id": "x"}, "account_id"),
        ({"egress_policy": "direct", "proxy_id": "0" * 32}, "proxy_id"),
        ({"state": "mine"}, "state"),
    ],
)
async def test_what_cannot_begin_is_refused_by_name(
    rig: Rig, fields: dict[str, object], path: str
) -> None:
    told = await rig.api.call("POST", f"{BASE}/init", {"provider_id": "openai", **fields})
    assert (told.status, told.fields) == (422, [path])


@with_login(userinfo_url="http://10.1.2.3/userinfo")
async def test_a_client_whose_addresses_lead_inside_begins_nothing(rig: Rig) -> None:
    for path in ("init", "device"):
        told = await rig.api.call("POST", f"{BASE}/{path}", {"provider_id": "openai"})
        assert (told.status, told.fields) == (422, ["oauth.clients[openai][userinfo_url]"])
    assert rig.idp.asked_paths == []


@with_login(redirect_uri="http://localhost:1455/auth/callback", device_url="")
async def test_a_client_with_another_redirect_address_is_for_pasting_only(rig: Rig) -> None:
    assert (await rig.api.get(f"{BASE}/providers")).data[0]["flows"] == ["code"]
    wanted = {"provider_id": "openai", "redirect": "callback"}
    told = await rig.api.call("POST", f"{BASE}/init", wanted)
    assert (told.status, told.fields) == (422, ["redirect"])
    rig.idp.redirect_uris = {"http://localhost:1455/auth/callback"}
    begun = await rig.begin()
    assert begun.json["start_url"] is None
    assert (await rig.exchange(rig.idp.redirected(str(begun.json["authorize_url"])))).status == 200


async def test_a_key_has_so_many_logins_under_way_and_no_more(rig: Rig) -> None:
    for _ in range(MAX_PENDING):
        await rig.begin()
    told = await rig.api.call("POST", f"{BASE}/init", {"provider_id": "openai"})
    assert (told.status, told.headers["Retry-After"]) == (429, "60")
    rig.api.clock.advance(601)
    await rig.begin()


async def test_of_many_logins_that_begin_at_once_no_more_begin(rig: Rig) -> None:
    body = {"provider_id": "openai"}
    begun = await asyncio.gather(
        *(rig.api.call("POST", f"{BASE}/init", body) for _ in range(2 * MAX_PENDING))
    )
    statuses = sorted(told.status for told in begun)
    assert statuses == [201] * MAX_PENDING + [429] * MAX_PENDING


# --- pasted -----------------------------------------------------------------------------------


def _forms(address: str) -> dict[str, str]:
    query = {name: texts[0] for name, texts in parse_qs(urlsplit(address).query).items()}
    code, state = query["code"], query["state"]
    return {
        "address": address,
        "with blanks": f"\n  {address}\t",
        "pairs": f"code={quote(code)}&state={state}",
        "code and state": f"{quote(code)}#{state}",
        "address with fragment": f"https://idp.example/shown?code={quote(code)}#{state}",
        "bare": quote(code),
    }


@pytest.mark.parametrize("form", list(_forms("http://x/?code=a&state=b")))
async def test_every_form_of_a_pasted_answer_logs_in(rig: Rig, form: str) -> None:
    begun = await rig.begin(label="team a")
    text = _forms(rig.idp.redirected(str(begun.json["authorize_url"])))[form]
    fields = {"flow_id": begun.json["flow_id"]} if form == "bare" else {}
    told = await rig.exchange(text, **fields)
    assert told.status == 200, told.text
    assert (told.json["status"], told.json["flow_id"]) == ("done", begun.json["flow_id"])
    account = await rig.account(told.json["account_id"])
    assert account.json["label"] == "team a"
    assert account.json["metadata"] == {"chatgpt_account_id": "ann"}
    stored = await rig.api.stores.accounts.get(str(told.json["account_id"]))
    assert stored is not None
    assert stored.account.identity == "ann@example.com"
    assert stored.credentials.access == "access-ann-0-1"
    assert stored.credentials.expires_at == rig.api.clock.now() + 3600
    assert stored.credentials.oauth == provider_login(rig.idp).client


async def test_an_answer_works_once(rig: Rig) -> None:
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    assert (await rig.exchange(text)).status == 200
    told = await rig.exchange(text)
    assert (told.status, told.error["code"]) == (400, "invalid_request")
    assert rig.idp.counts == {"calls": 1, "refreshed": 1, "logins": 1}


async def test_a_login_ends_with_the_key_that_began_it_and_no_other(rig: Rig) -> None:
    begun = await rig.begin()
    other = (await rig.api.made("/api/v1/api-keys", {"name": "x", "is_admin": True})).json["key"]
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    foreign = await rig.api.call(
        "POST", f"{BASE}/exchange", {"text": text}, headers={"x-api-key": str(other)}
    )
    looked = await rig.api.call(
        "GET", f"{BASE}/flows/{begun.json['flow_id']}", headers={"x-api-key": str(other)}
    )
    assert (foreign.status, looked.status) == (403, 403)
    assert rig.idp.asked_paths == []
    # It spoiled nothing.
    assert (await rig.exchange(text)).status == 200


async def test_an_expired_login_is_over(rig: Rig) -> None:
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    rig.api.clock.advance(601)
    told = await rig.exchange(text)
    assert (told.status, "expired" in str(told.error["message"])) == (400, True)
    flow = await rig.api.get(f"{BASE}/flows/{begun.json['flow_id']}")
    assert flow.json["status"] == "expired"
    assert rig.idp.asked_paths == []


async def test_states_that_we_did_not_make_are_unknown(rig: Rig) -> None:
    begun = await rig.begin()
    state = parse_qs(urlsplit(str(begun.json["authorize_url"])).query)["state"][0]
    flipped = state[:-1] + ("A" if state[-1] != "A" else "B")
    for guess in (flipped, "A" * 56, "x", "../" + state, state + "\x00"):
        told = await rig.exchange(f"code=abc&state={quote(guess)}")
        assert told.status == 404, guess
    assert (await rig.api.get(f"{BASE}/flows/{'0' * 64}")).status == 404


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("http://x/?state=s", {}),
        ("a bare code", {}),
        ("#", {}),
        ("code=", {}),
        ("code=a&code=b", {}),
        ("http://[x?code=1", {"flow_id": "0" * 63}),
        ("code=a&state=b", {"state": "c"}),
    ],
)
async def test_what_holds_no_answer_is_refused(
    rig: Rig, text: str, fields: dict[str, object]
) -> None:
    assert (await rig.exchange(text, **fields)).status in (400, 404, 422)
    assert rig.idp.asked_paths == []


async def test_the_text_of_one_login_does_not_end_another(rig: Rig) -> None:
    first, second = await rig.begin(), await rig.begin()
    text = rig.idp.redirected(str(first.json["authorize_url"]))
    told = await rig.exchange(text, flow_id=second.json["flow_id"])
    assert (told.status, told.error["details"]) == (400, {"path": "flow_id"})
    # A code of another login fails at the provider: its verifier is another one.
    bare = _forms(text)["bare"]
    told = await rig.exchange(bare, flow_id=second.json["flow_id"])
    assert (told.status, told.error["details"]) == (400, {"reason": "invalid_grant"})


async def test_a_refusal_is_told_by_a_known_word_and_ends_the_login(rig: Rig) -> None:
    begun = await rig.begin()
    state = parse_qs(urlsplit(str(begun.json["authorize_url"])).query)["state"][0]
    told = await rig.exchange(f"error=access_denied&error_description=canary&state={state}")
    assert (told.status, told.error["details"]) == (400, {"reason": "access_denied"})
    flow = (await rig.api.get(f"{BASE}/flows/{begun.json['flow_id']}")).json
    assert (flow["status"], flow["reason"]) == ("denied", "access_denied")
    again = await rig.begin()
    state = parse_qs(urlsplit(str(again.json["authorize_url"])).query)["state"][0]
    told = await rig.exchange(f"error=canary_word&state={state}")
    assert told.error["details"] == {"reason": "refused"}
    assert "canary" not in told.text


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        ("500", 502, "status_500"),
        ("html", 502, "malformed"),
        ("throttle", 503, "throttled"),
        ("invalid_client", 400, "invalid_client"),
        ("drop", 502, "no_answer"),
    ],
)
async def test_a_code_is_never_traded_twice_whatever_the_provider_answers(
    rig: Rig, behaviour: str, status: int, reason: str
) -> None:
    rig.idp.behaviours = [behaviour]
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    told = await rig.exchange(text)
    assert (told.status, told.error["details"]) == (status, {"reason": reason})
    assert (await rig.exchange(text)).status == 400
    flow = (await rig.api.get(f"{BASE}/flows/{begun.json['flow_id']}")).json
    assert (flow["status"], flow["reason"]) == ("failed", reason)
    assert rig.idp.counts["calls"] == 1
    assert (await rig.api.get("/api/v1/accounts")).json["total"] == 0
    assert "canary" not in told.text


@with_login(issuer="https://idp.example")
async def test_an_answer_of_another_server_is_refused_and_the_right_one_still_counts(
    rig: Rig,
) -> None:
    rig.idp.issuer = "https://evil.example"
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    told = await rig.exchange(text)
    assert (told.status, "iss" in str(told.error["message"])) == (400, True)
    assert rig.idp.asked_paths == []
    right = text.replace("evil.example", "idp.example")
    assert (await rig.exchange(right)).status == 200


@with_login(sends_state=True)
async def test_the_state_goes_along_where_the_provider_wants_it(rig: Rig) -> None:
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    bare = await rig.exchange(_forms(text)["bare"], flow_id=begun.json["flow_id"])
    assert bare.status == 400
    assert (await rig.exchange(text)).status == 200
    assert rig.idp.traded[0]["state"] == parse_qs(urlsplit(text).query)["state"][0]


async def test_a_client_shows_its_secret_as_configured() -> None:
    idp = LoginIdp(redirect_uris={CALLBACK})
    runner = await idp.start()
    client = OAuthClient(
        f"{idp.url}/token", "id:1", "s&:+é", token_body="json", client_auth="basic"
    )
    rules = LoginRules(
        {"openai": replace(provider_login(idp), client=client)}, public_url=PUBLIC_URL
    )
    idp.client_id = "id:1"
    try:
        async with running_api(networks=["127.0.0.0/8"], logins=rules) as api:
            await Rig(api, idp).logged_in()
    finally:
        await runner.cleanup()
    # base64 of `id%3A1:s%26%3A%2B%C3%A9`, each form-encoded first (RFC 6749 section 2.3.1)
    assert idp.authorizations[0] == "Basic aWQlM0ExOnMlMjYlM0ElMkIlQzMlQTk="
    assert idp.asked[0].content_type == "application/json"
    assert "client_secret" not in idp.asked[0].fields
    assert "client_id" not in idp.asked[0].fields


# --- the callback page ------------------------------------------------------------------------


async def _visit(rig: Rig, path: str, **options: object) -> tuple[int, dict[str, str], str]:
    async with rig.api.client.request(
        str(options.pop("method", "GET")),
        path,
        allow_redirects=False,
        **options,  # type: ignore[arg-type] # headers and the like
    ) as response:
        return response.status, dict(response.headers), await response.text()


async def _started(rig: Rig) -> tuple[str, str, str]:
    """Open the start page; returns flow id, cookie and the path where the browser comes back."""
    begun = await rig.begin()
    path = str(begun.json["start_url"]).removeprefix(PUBLIC_URL)
    status, headers, _ = await _visit(rig, path)
    assert (status, headers["Location"]) == (303, begun.json["authorize_url"])
    cookie = headers["Set-Cookie"]
    assert re.fullmatch(
        r"__Host-aigateway-login-[0-9a-f]{16}=[\w-]{43}; HttpOnly; Max-Age=600; Path=/; "
        r"SameSite=Lax; Secure",
        cookie,
    ), cookie
    assert headers["Referrer-Policy"] == "no-referrer"
    back = rig.idp.redirected(headers["Location"]).removeprefix(PUBLIC_URL)
    return str(begun.json["flow_id"]), cookie.partition(";")[0], back


async def test_the_browser_that_opened_a_login_ends_it_on_the_callback_page(rig: Rig) -> None:
    flow_id, cookie, back = await _started(rig)
    status, headers, text = await _visit(rig, back, headers={"Cookie": cookie})
    assert (status, "Logged in" in text) == (200, True)
    assert "Max-Age=0" in headers["Set-Cookie"]
    flow = (await rig.api.get(f"{BASE}/flows/{flow_id}")).json
    assert flow["status"] == "done"
    assert (await rig.account(flow["account_id"])).json["label"] == "ann@example.com"
    again = await _visit(rig, back, headers={"Cookie": cookie})
    assert (again[0], rig.idp.counts["calls"]) == (400, 1)


async def test_another_browser_is_only_told_to_paste(rig: Rig) -> None:
    """Somebody who learned the state, and even brings a good code, logs nobody in."""
    flow_id, cookie, back = await _started(rig)
    name = cookie.partition("=")[0]
    for headers in ({}, {"Cookie": f"{name}=guess"}, {"Cookie": "other=1"}):
        status, _, text = await _visit(rig, back, headers=headers)
        assert (status, "Copy the whole address" in text) == (200, True)
    assert rig.idp.asked_paths == []
    assert (await rig.api.get(f"{BASE}/flows/{flow_id}")).json["status"] == "pending"
    # What it shows works, with the key.
    assert (await rig.exchange(PUBLIC_URL + back)).status == 200


@pytest.mark.parametrize("change", [None, {"is_active": False}, {"is_admin": False}])
async def test_a_login_is_over_once_its_key_is_not_good_any_more(
    rig: Rig, change: dict[str, object] | None
) -> None:
    keys = "/api/v1/api-keys"
    await rig.api.made(keys, {"name": "another", "is_admin": True})
    made = await rig.api.made(keys, {"name": "leaver", "is_admin": True})
    headers = {"x-api-key": str(made.json["key"])}
    body = {"provider_id": "openai"}
    opened, unopened = [
        await rig.api.call("POST", f"{BASE}/init", body, headers=headers) for _ in range(2)
    ]
    starts = [str(one.json["start_url"]).removeprefix(PUBLIC_URL) for one in (opened, unopened)]
    _, told, _ = await _visit(rig, starts[0])
    back = rig.idp.redirected(told["Location"]).removeprefix(PUBLIC_URL)
    cookie = told["Set-Cookie"].partition(";")[0]
    method = "DELETE" if change is None else "PATCH"
    assert (await rig.api.call(method, f"{keys}/{made.id}", change)).status < 300
    assert (await _visit(rig, starts[1]))[0] == 400
    assert (await _visit(rig, back, headers={"Cookie": cookie}))[0] == 400
    assert rig.idp.asked_paths == []
    assert (await rig.api.get("/api/v1/accounts")).json["total"] == 0


async def test_a_login_opened_directly_ends_by_pasting(rig: Rig) -> None:
    begun = await rig.begin()
    back = rig.idp.redirected(str(begun.json["authorize_url"]))
    status, _, text = await _visit(rig, back.removeprefix(PUBLIC_URL), headers={"Cookie": "x="})
    assert (status, "Copy the whole address" in text) == (200, True)


async def test_the_start_page_opens_once(rig: Rig) -> None:
    begun = await rig.begin()
    path = str(begun.json["start_url"]).removeprefix(PUBLIC_URL)
    looked = await _visit(rig, path, method="HEAD")
    assert "Set-Cookie" not in looked[1]
    statuses = [(await _visit(rig, path))[0] for _ in range(3)]
    assert statuses == [303, 400, 400]
    rig.api.clock.advance(601)
    late = await rig.begin()
    rig.api.clock.advance(601)
    assert (await _visit(rig, str(late.json["start_url"]).removeprefix(PUBLIC_URL)))[0] == 400


async def test_each_provider_has_a_callback_page_of_its_own(rig: Rig) -> None:
    _, cookie, back = await _started(rig)
    elsewhere = back.replace("/callback/openai", "/callback/anthropic")
    assert (await _visit(rig, elsewhere, headers={"Cookie": cookie}))[0] == 400
    assert (await _visit(rig, back, method="HEAD", headers={"Cookie": cookie}))[0] == 400
    assert rig.idp.asked_paths == []
    assert (await _visit(rig, back, headers={"Cookie": cookie}))[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code=<script>alert(1)</script>&state=canary",
        "?error=<b>canary</b>&error_description=canary",
        "?state=" + "A" * 56 + "&code=canary",
        "?code=%ff%fe&state=%00",
        "?" + "a=1&" * 200,
    ],
)
async def test_the_pages_show_nothing_of_what_they_were_asked_with(rig: Rig, query: str) -> None:
    for path in (f"/oauth/callback/openai{query}", "/oauth/start/canary<script>"):
        status, headers, text = await _visit(rig, path)
        assert status == 400
        assert "canary" not in text
        assert "<script" not in text
        assert {name: headers[name] for name in HEADERS} == dict(HEADERS)
        assert "Set-Cookie" not in headers


async def test_a_refusal_on_the_callback_page_ends_the_login(rig: Rig) -> None:
    flow_id, cookie, back = await _started(rig)
    state = parse_qs(urlsplit(back).query)["state"][0]
    path = f"/oauth/callback/openai?error=access_denied&state={state}"
    status, _, text = await _visit(rig, path, headers={"Cookie": cookie})
    assert (status, "Not logged in" in text) == (400, True)
    assert (await rig.api.get(f"{BASE}/flows/{flow_id}")).json["status"] == "denied"


async def test_a_failure_of_the_provider_is_told_on_the_callback_page(rig: Rig) -> None:
    rig.idp.always = "500"
    flow_id, cookie, back = await _started(rig)
    status, _, text = await _visit(rig, back, headers={"Cookie": cookie})
    assert (status, "did not come to its end" in text) == (502, True)
    assert (await rig.api.get(f"{BASE}/flows/{flow_id}")).json["reason"] == "status_500"


# --- whose account it is ----------------------------------------------------------------------


async def test_logging_in_again_renews_the_account_of_that_identity(rig: Rig) -> None:
    account_id = await rig.logged_in(label="mine")
    changes = {"priority": 7, "metadata": {"note": "kept", "chatgpt_account_id": "old"}}
    await rig.api.call("PATCH", f"/api/v1/accounts/{account_id}", changes)
    before = (await rig.account(account_id)).json
    assert await rig.logged_in(label="another label") == account_id
    after = await rig.api.stores.accounts.get(account_id)
    assert after is not None
    assert (after.account.label, after.account.priority) == ("mine", 7)
    assert after.account.metadata == {"note": "kept", "chatgpt_account_id": "ann"}
    assert after.account.token_version == 1
    assert after.account.cooldown_reset_at == rig.api.clock.now()
    assert after.credentials.access == "access-ann-1-1"
    assert before["created_at"] == (await rig.account(account_id)).json["created_at"]
    assert await rig.logged_in("bob") != account_id
    assert (await rig.api.get("/api/v1/accounts")).json["total"] == 2


async def test_an_account_that_needs_a_login_serves_again_after_one(rig: Rig) -> None:
    account_id = await rig.logged_in()
    rig.idp.families["ann-0"].is_dead = True
    told = await rig.api.call("POST", f"{BASE}/refresh", {"account_id": account_id})
    assert told.status == 502
    assert (await rig.account(account_id)).json["token_state"] == "needs_reauth"
    assert await rig.logged_in(account_id=account_id) == account_id
    account = (await rig.account(account_id)).json
    assert (account["token_state"], account["token_error"]) == ("ok", None)


async def test_a_login_for_one_account_does_not_fall_to_another(rig: Rig) -> None:
    ann, bob = await rig.logged_in("ann"), await rig.logged_in("bob")
    begun = await rig.begin(account_id=ann)
    told = await rig.exchange(rig.idp.redirected(str(begun.json["authorize_url"]), "bob"))
    assert (told.status, told.error["code"]) == (409, "conflict")
    flow = (await rig.api.get(f"{BASE}/flows/{begun.json['flow_id']}")).json
    assert (flow["status"], flow["reason"], flow["account_id"]) == ("failed", "conflict", ann)
    assert str(bob) in str(told.error["message"])
    await rig.api.call("DELETE", f"/api/v1/accounts/{bob}")
    begun = await rig.begin(account_id=ann)
    told = await rig.exchange(rig.idp.redirected(str(begun.json["authorize_url"]), "bob"))
    assert told.status == 409
    assert (await rig.api.get("/api/v1/accounts")).json["total"] == 1


async def test_an_account_with_a_key_may_become_one_that_logs_in(rig: Rig) -> None:
    body = {"provider_id": "openai", "auth_type": "api_key", "auth_data": {"api_key": "sk-1"}}
    account_id = (await rig.api.made("/api/v1/accounts", body)).id
    assert await rig.logged_in(account_id=account_id) == account_id
    account = (await rig.account(account_id)).json
    assert (account["auth_type"], account["egress_status"]) == ("oauth", "direct")
    for fields in ({"proxy_id": "0" * 32}, {"egress_policy": "direct"}):
        told = await rig.api.call(
            "POST", f"{BASE}/init", {"provider_id": "openai", "account_id": account_id, **fields}
        )
        assert (told.status, told.fields) == (422, list(fields))


async def test_without_user_info_the_token_itself_tells_who_it_is(rig: Rig) -> None:
    rig.idp.userinfo_status = 500
    stored = await rig.api.stores.accounts.get(await rig.logged_in())
    assert stored is not None
    assert stored.account.identity == "ann@example.com"


@with_login(userinfo_url="", identity="account.uuid")
async def test_the_identity_may_stand_in_the_token_answer(rig: Rig) -> None:
    stored = await rig.api.stores.accounts.get(await rig.logged_in())
    assert stored is not None
    assert stored.account.identity == "uuid-ann"
    assert "/userinfo" not in rig.idp.asked_paths


@with_login(userinfo_url="", identity="nowhere")
async def test_without_an_identity_each_login_is_an_account(rig: Rig) -> None:
    assert await rig.logged_in() != await rig.logged_in()


async def test_operators_hear_of_logins_and_of_accounts_that_need_one(rig: Rig) -> None:
    account_id = await rig.logged_in()
    await rig.logged_in()
    rig.idp.families["ann-1"].is_dead = True
    await rig.api.call("POST", f"{BASE}/refresh", {"account_id": account_id})
    async with asyncio.timeout(10):
        while (await rig.api.get("/api/v1/events")).json["total"] != 3:  # noqa: ASYNC110 - stored aside
            await asyncio.sleep(0.01)
    told = (await rig.api.get("/api/v1/events")).data
    kinds = [event["kind"] for event in told]
    assert kinds == ["account.needs_login", "account.logged_in", "account.logged_in"]
    assert {event["account_id"] for event in told} == {account_id}


# --- ways out ---------------------------------------------------------------------------------


async def test_a_login_that_may_not_go_direct_waits_for_a_proxy(rig: Rig) -> None:
    wanted = {"provider_id": "openai", "egress_policy": "required"}
    for path in ("init", "device"):
        assert (await rig.api.call("POST", f"{BASE}/{path}", wanted)).status == 503
    assert rig.idp.asked_paths == []


async def test_login_and_account_take_the_wished_proxy_or_the_next_with_room(rig: Rig) -> None:
    proxies = [FakeProxy(), FakeProxy()]
    ids = []
    for proxy in proxies:
        await proxy.start()
        row = await rig.api.made("/api/v1/proxies", {"url": proxy.url, "max_accounts": 2})
        ids.append(row.id)
    first, second = ids
    port = int(rig.idp.url.rsplit(":", 1)[1])
    try:
        begun = await rig.begin(proxy_id=second)
        late = await rig.begin(proxy_id=second)
        assert begun.json["proxy_id"] == second
        told = await rig.exchange(rig.idp.redirected(str(begun.json["authorize_url"]), "ann"))
        assert (await rig.account(told.json["account_id"])).json["proxy_id"] == second
        # Token and user info went this way, and nothing the other.
        assert set(proxies[1].targets) == {("127.0.0.1", port)}
        assert proxies[0].targets == []
        seen = len(proxies[1].targets)
        # It fills up in between: the login leaves where the account will be, and that is elsewhere.
        await rig.api.call("PATCH", f"/api/v1/proxies/{second}", {"max_accounts": 1})
        full = await rig.api.call(
            "POST", f"{BASE}/init", {"provider_id": "openai", "proxy_id": second}
        )
        assert (full.status, full.fields) == (422, ["proxy_id"])
        told = await rig.exchange(rig.idp.redirected(str(late.json["authorize_url"]), "bob"))
        assert (await rig.account(told.json["account_id"])).json["proxy_id"] == first
        assert set(proxies[0].targets) == {("127.0.0.1", port)}
        assert len(proxies[1].targets) == seen
        # A login that a dead proxy swallows says so, and goes nowhere else.
        await proxies[0].stop()
        lost = await rig.begin(proxy_id=first)
        told = await rig.exchange(rig.idp.redirected(str(lost.json["authorize_url"]), "eve"))
        assert (told.status, told.error["code"]) == (502, "egress_error")
        assert told.error["details"] == {"reason": "proxy_failed"}
    finally:
        for proxy in proxies:
            await proxy.stop()


# --- another device ---------------------------------------------------------------------------


async def test_a_device_login_ends_when_somebody_has_agreed(rig: Rig) -> None:
    begun = (await rig.device(label="tv")).json
    assert begun["verification_uri"] == f"{rig.idp.url}/activate"
    assert begun["verification_uri_complete"] == (
        f"{rig.idp.url}/activate?user_code={begun['user_code']}"
    )
    assert begun["interval_s"] == 5
    told = (await rig.poll(begun["flow_id"])).json
    assert (told["status"], told["retry_after_s"], told["account_id"]) == ("pending", 5, None)
    rig.idp.agree(str(begun["user_code"]))
    rig.api.clock.advance(5)
    told = (await rig.poll(begun["flow_id"])).json
    assert (told["status"], told["kind"]) == ("done", "device")
    account = (await rig.account(told["account_id"])).json
    assert (account["label"], account["token_state"]) == ("tv", "ok")
    assert (await rig.poll(begun["flow_id"])).json == told
    rows = await rig.api.stores.db.read(
        lambda connection: connection.execute(select(oauth_flows)).all()
    )
    assert str(begun["user_code"]) not in repr(rows)


async def test_the_provider_is_never_polled_more_often_than_it_wants(rig: Rig) -> None:
    begun = (await rig.device()).json
    for _ in range(5):
        assert (await rig.poll(begun["flow_id"])).json["status"] == "pending"
    assert rig.idp.counts["calls"] == 1
    rig.idp.device_answers = ["slow_down"]
    rig.api.clock.advance(5)
    assert (await rig.poll(begun["flow_id"])).json["retry_after_s"] == 10
    rig.api.clock.advance(9)
    assert (await rig.poll(begun["flow_id"])).json["retry_after_s"] == 10
    assert rig.idp.counts["calls"] == 2
    rig.api.clock.advance(1)  # slower from now on, not once
    assert (await rig.poll(begun["flow_id"])).json["retry_after_s"] == 10
    assert rig.idp.counts["calls"] == 3
    rig.idp.always = "500"
    rig.api.clock.advance(10)
    assert (await rig.poll(begun["flow_id"])).json["retry_after_s"] == 20
    rig.idp.always = "ok"
    rig.api.clock.advance(19)
    await rig.poll(begun["flow_id"])
    assert rig.idp.counts["calls"] == 4


@pytest.mark.parametrize(
    ("word", "status"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("invalid_grant", "failed")],
)
async def test_a_device_login_that_was_refused_is_over(rig: Rig, word: str, status: str) -> None:
    begun = (await rig.device()).json
    rig.idp.device_answers = [word]
    told = (await rig.poll(begun["flow_id"])).json
    assert (told["status"], told["reason"]) == (status, word)
    rig.api.clock.advance(60)
    assert (await rig.poll(begun["flow_id"])).json["status"] == status
    assert rig.idp.counts["calls"] == 1


async def test_a_device_login_belongs_to_its_key_and_ends_with_its_time(rig: Rig) -> None:
    begun = (await rig.device()).json
    other = (await rig.api.made("/api/v1/api-keys", {"name": "x", "is_admin": True})).json["key"]
    foreign = await rig.api.call(
        "POST",
        f"{BASE}/device/poll",
        {"flow_id": begun["flow_id"]},
        headers={"x-api-key": str(other)},
    )
    assert foreign.status == 403
    pasted = await rig.exchange("code", flow_id=begun["flow_id"])
    assert pasted.status == 400
    code = await rig.begin()
    assert (await rig.poll(code.json["flow_id"])).status == 400
    rig.api.clock.advance(601)
    assert (await rig.poll(begun["flow_id"])).json["status"] == "expired"
    assert rig.idp.counts["calls"] == 0


@pytest.mark.parametrize("behaviour", ["malformed", "500"])
async def test_a_device_login_that_cannot_begin_is_told(rig: Rig, behaviour: str) -> None:
    rig.idp.interval = "soon" if behaviour == "malformed" else 5
    if behaviour == "500":
        rig.idp.client_id = "somebody else"
        told = await rig.api.call("POST", f"{BASE}/device", {"provider_id": "openai"})
        assert (told.status, told.error["details"]) == (400, {"reason": "invalid_client"})
    else:
        assert (await rig.device()).json["interval_s"] == 5


async def test_openai_s_kind_of_device_login() -> None:
    idp = LoginIdp()
    runner = await idp.start()
    login = replace(provider_login(idp), device="openai", device_url=f"{idp.url}/")
    try:
        async with running_api(
            networks=["127.0.0.0/8"], logins=LoginRules({"openai": login})
        ) as api:
            rig = Rig(api, idp)
            begun = (await rig.device()).json
            assert begun["verification_uri"] == f"{idp.url}/codex/device"
            assert (await rig.poll(begun["flow_id"])).json["status"] == "pending"
            idp.agree(str(begun["user_code"]))
            api.clock.advance(5)
            told = (await rig.poll(begun["flow_id"])).json
            assert told["status"] == "done"
            assert idp.traded[0]["redirect_uri"] == f"{idp.url}/deviceauth/callback"
    finally:
        await runner.cleanup()


# --- refreshes --------------------------------------------------------------------------------


async def test_a_token_is_refreshed_at_an_operator_s_wish(rig: Rig) -> None:
    account_id = await rig.logged_in()
    rig.api.clock.advance(60)
    told = await rig.api.call("POST", f"{BASE}/refresh", {"account_id": account_id})
    assert told.status == 200, told.text
    assert (told.json["failures"], told.json["is_late"]) == (0, False)
    assert told.json["last_success_at"] == told.json["last_attempt_at"]
    stored = await rig.api.stores.accounts.get(account_id)
    assert stored is not None
    assert stored.credentials.access == "access-ann-0-2"
    body = {"provider_id": "openai", "auth_type": "api_key", "auth_data": {"api_key": "sk-1"}}
    key = (await rig.api.made("/api/v1/accounts", body)).id
    assert (await rig.api.call("POST", f"{BASE}/refresh", {"account_id": key})).status == 400
    gone = await rig.api.call("POST", f"{BASE}/refresh", {"account_id": "0" * 32})
    assert gone.status == 404


async def test_pain_6_refreshes_that_fail_are_seen_before_anybody_suffers(rig: Rig) -> None:
    """Last attempt, class of the last error, next attempt, and who is late, for each account."""
    ann, bob = await rig.logged_in("ann"), await rig.logged_in("bob")
    rig.idp.always = "500"
    told = await rig.api.call("POST", f"{BASE}/refresh", {"account_id": bob})
    assert told.status == 502
    listed = {row["account_id"]: row for row in (await rig.api.get(f"{BASE}/refreshes")).data}
    assert (listed[ann]["failures"], listed[ann]["token_error"]) == (0, None)
    assert (listed[bob]["failures"], listed[bob]["token_error"]) == (1, "status_500")
    assert not listed[bob]["is_late"]
    assert str(listed[bob]["next_attempt_at"]) > str(listed[bob]["last_attempt_at"])
    rig.api.clock.advance(3300)
    late = await rig.api.get(f"{BASE}/refreshes?is_late=true&limit=1")
    assert (late.json["total"], len(late.data)) == (2, 1)
    assert (await rig.api.get(f"{BASE}/refreshes?is_late=false")).json["total"] == 0
    assert (await rig.api.get(f"{BASE}/refreshes?provider_id=anthropic")).json["total"] == 0


async def test_nothing_secret_comes_out_of_any_answer_or_log(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    begun = await rig.begin()
    text = rig.idp.redirected(str(begun.json["authorize_url"]))
    told = await rig.exchange(text)
    listed = await rig.api.get(f"{BASE}/refreshes")
    flow = await rig.api.get(f"{BASE}/flows/{begun.json['flow_id']}")
    query = parse_qs(urlsplit(text).query)
    shown = told.text + listed.text + flow.text
    logged = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    secrets = [query["code"][0], query["state"][0], "access-ann", "refresh-ann"]
    secrets.append(rig.idp.traded[0]["code_verifier"])
    assert [secret for secret in secrets if secret in shown] == []
    ours = "".join(
        repr(record.__dict__) for record in caplog.records if record.name.startswith("services")
    )
    assert [secret for secret in secrets if secret in ours] == []
    assert "ann@example.com" not in ours
    assert logged
