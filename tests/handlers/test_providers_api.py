import pytest

from tests.handlers.api import Api, account_body

ALL = "/api/v1/providers"
OWN = {
    "id": "house",
    "name": "House model",
    "dialect": "chat",
    "base_url": "http://192.0.2.7:9000/v1/",
    "prefixes": ["House-", "h1"],
}


async def test_an_own_provider_is_shown_as_it_will_be_used(api: Api) -> None:
    told = await api.made(ALL, OWN)
    assert told.headers["Location"] == f"{ALL}/house"
    assert told.json == {
        "id": "house",
        "name": "House model",
        "dialect": "chat",
        "dialects": ["chat", "completions", "embeddings"],
        "base_url": "http://192.0.2.7:9000/v1",
        "prefixes": ["house-", "h1"],
        "is_builtin": False,
        "is_active": True,
        "strategy": None,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
    }
    listed = await api.get(ALL)
    assert [entry["id"] for entry in listed.data] == ["anthropic", "house", "openai"]


async def test_the_address_of_a_builtin_provider_changes_and_comes_back(api: Api) -> None:
    told = await api.call("PATCH", f"{ALL}/openai", {"base_url": "http://192.0.2.7:9000/v1"})
    assert (told.status, told.json["base_url"]) == (200, "http://192.0.2.7:9000/v1")
    told = await api.call("PATCH", f"{ALL}/openai", {"base_url": None})
    assert (told.status, told.json["base_url"]) == (200, None)


@pytest.mark.parametrize(
    ("dialect", "dialects"),
    [
        ("messages", ["messages"]),
        ("chat", ["chat", "completions", "embeddings"]),
        ("responses", ["responses", "embeddings"]),
        ("gemini", ["gemini", "gemini.count"]),
    ],
)
async def test_an_own_provider_tells_what_it_is_spoken_to_in(
    api: Api, dialect: str, dialects: list[str]
) -> None:
    made = await api.made(ALL, {**OWN, "dialect": dialect})
    assert made.json["dialects"] == dialects
    assert (await api.get(f"{ALL}/house")).json["dialects"] == dialects


async def test_a_builtin_provider_tells_it_too(api: Api) -> None:
    listed = {entry["id"]: entry["dialects"] for entry in (await api.get(ALL)).data}
    assert listed["anthropic"] == ["messages", "messages.count"]
    assert listed["openai"] == [
        "chat",
        "completions",
        "embeddings",
        "responses",
        "responses.count",
    ]


async def test_a_strategy_is_chosen_and_left_to_the_configuration_again(api: Api) -> None:
    told = await api.call("PATCH", f"{ALL}/openai", {"strategy": "least_inflight"})
    assert (told.status, told.json["strategy"]) == (200, "least_inflight")
    assert (await api.get(f"{ALL}/openai")).json["strategy"] == "least_inflight"
    told = await api.call("PATCH", f"{ALL}/openai", {"strategy": None})
    assert (told.status, told.json["strategy"]) == (200, None)
    made = await api.made(ALL, {**OWN, "strategy": "weighted"})
    assert made.json["strategy"] == "weighted"
    put = {key: OWN[key] for key in ("name", "dialect", "base_url")}
    told = await api.call("PUT", f"{ALL}/house", put)
    assert (told.status, told.json["strategy"]) == (200, None)


async def test_put_sets_left_out_fields_back(api: Api) -> None:
    await api.made(ALL, {**OWN, "is_active": False})
    told = await api.call(
        "PUT",
        f"{ALL}/house",
        {"name": "New", "dialect": "messages", "base_url": "http://192.0.2.8"},
    )
    assert told.status == 200
    assert (told.json["dialect"], told.json["prefixes"], told.json["is_active"]) == (
        "messages",
        None,
        True,
    )


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        pytest.param({"id": "House"}, "id", id="capital in the id"),
        pytest.param({"id": "a/b"}, "id", id="slash in the id"),
        pytest.param({"id": "a:b"}, "id", id="colon in the id"),
        pytest.param({"id": "a\n"}, "id", id="newline in the id"),
        pytest.param({"id": "x" * 33}, "id", id="long id"),
        pytest.param({"name": " "}, "name", id="blank name"),
        pytest.param({"name": "a\r\nb"}, "name", id="CRLF in the name"),
        pytest.param({"dialect": "soap"}, "dialect", id="unknown dialect"),
        pytest.param({"base_url": None}, "base_url", id="no address"),
        pytest.param({"base_url": "http://192.0.2.7/?a=b"}, "base_url", id="query"),
        pytest.param({"base_url": "http://u:p@192.0.2.7/"}, "base_url", id="password"),
        pytest.param({"base_url": "http://10.0.0.1/"}, "base_url", id="private network"),
        pytest.param({"base_url": "http://[fd00::1]/"}, "base_url", id="private IPv6"),
        pytest.param({"base_url": "file:///etc/passwd"}, "base_url", id="file"),
        pytest.param({"prefixes": [""]}, "prefixes[0]", id="empty prefix"),
        pytest.param({"prefixes": ["a b"]}, "prefixes[0]", id="space in a prefix"),
        pytest.param({"strategy": "luck"}, "strategy", id="unknown strategy"),
        pytest.param({"is_builtin": True}, "is_builtin", id="not the caller's to say"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    api: Api, changes: dict[str, object], blamed: str
) -> None:
    told = await api.call("POST", ALL, {**OWN, **changes})
    assert (told.status, told.fields) == (422, [blamed])
    assert (await api.get(ALL)).json["total"] == 2


@pytest.mark.parametrize(
    ("path", "body", "blamed"),
    [
        pytest.param("openai", {"dialect": "messages"}, "dialect", id="dialect of a builtin"),
        pytest.param("house", {"base_url": None}, "base_url", id="no address for an own one"),
        pytest.param("house", {"base_url": "http://127.0.0.1:1"}, "base_url", id="loopback"),
        pytest.param("openai", {"id": "other"}, "id", id="id by patch"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(
    api: Api, path: str, body: dict[str, object], blamed: str
) -> None:
    await api.made(ALL, OWN)
    before = (await api.get(f"{ALL}/{path}")).json
    told = await api.call("PATCH", f"{ALL}/{path}", body)
    assert (told.status, told.fields) == (422, [blamed])
    assert (await api.get(f"{ALL}/{path}")).json == before


async def test_put_may_repeat_the_id_but_not_change_it(api: Api) -> None:
    await api.made(ALL, OWN)
    assert (await api.call("PUT", f"{ALL}/house", OWN)).status == 200
    told = await api.call("PUT", f"{ALL}/house", {**OWN, "id": "other"})
    assert (told.status, told.fields) == (422, ["id"])


async def test_a_taken_id_is_a_conflict(api: Api) -> None:
    told = await api.call("POST", ALL, {**OWN, "id": "openai"})
    assert (told.status, told.error["code"]) == (409, "conflict")


async def test_only_an_unused_own_provider_can_be_deleted(api: Api) -> None:
    await api.made(ALL, OWN)
    account = await api.made("/api/v1/accounts", account_body(provider_id="house"))
    assert (await api.call("DELETE", f"{ALL}/openai")).status == 409
    assert (await api.call("DELETE", f"{ALL}/house")).status == 409
    await api.call("DELETE", f"/api/v1/accounts/{account.id}")
    assert (await api.call("DELETE", f"{ALL}/house")).status == 204
    assert (await api.get(f"{ALL}/house")).status == 404


@pytest.mark.parametrize("provider_id", ["nobody", "OPENAI", "openai%20", "%27--", "a%00"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_provider_is_not_found(api: Api, method: str, provider_id: str) -> None:
    told = await api.call(method, f"{ALL}/{provider_id}", {})
    assert (told.status, told.error["code"]) == (404, "not_found")
