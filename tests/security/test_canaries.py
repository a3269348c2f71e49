"""No credential leaves the place where it belongs, whatever goes wrong, with everything logged.

The program runs as a process on MariaDB and Redis; then everything that it wrote or answered is
searched for each secret, plain, base64 and URL-encoded.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest
from redis import Redis
from sqlalchemy.engine import make_url

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.idp import FakeIdp
from tests.fakes.provider import Failure
from tests.fakes.proxies import FakeProxy

pytestmark = pytest.mark.timeout(180)

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
READABLE = (
    "/accounts?limit=500",
    "/proxies",
    "/proxies/assignments",
    "/providers",
    "/api-keys",
    "/stats/logs?limit=500",
    "/stats/summary",
)


class Canaries:
    """Secrets that stand nowhere but where they were planted."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def new(self, place: str) -> str:
        secret = self.planted[place] = "canary" + secrets.token_hex(12)
        return secret

    def found_in(self, data: bytes) -> list[str]:
        return [
            place
            for place, secret in self.planted.items()
            if any(form in data for form in _forms(secret))
        ]


def _forms(secret: str) -> Iterable[bytes]:
    """The secret as it is, as the parts of base64 that do not depend on what stands before it."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + raw)[4:-4]


async def test_no_secret_is_found_where_it_does_not_belong(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    canaries = Canaries()
    environment = {
        "AIGATEWAY_LOGS__LEVEL": "debug",
        "AIGATEWAY_REDIS__URL": redis_url,
        "AIGATEWAY_COOLDOWN__REJECTED_S": "1",
    }
    async with open_cluster(
        tmp_path,
        workers=2,
        database_url=mysql_url,
        redis_url=redis_url,
        environment=environment,
    ) as cluster:
        canaries.planted["admin key"] = cluster.admin_key
        canaries.planted["client key"] = cluster.key
        answers = await _plant_and_provoke(cluster, canaries)
        answers += await _everything_readable(cluster)
        commands = _command_lines(cluster)
        assert len(commands) == 3
        assert canaries.found_in(b"".join(commands)) == []
        assert await cluster.stop() == 0
        for name, answer in answers.items():
            assert canaries.found_in(answer) == [], name
    assert canaries.found_in(cluster.log.read_bytes()) == [], cluster.log.read_text()
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            assert canaries.found_in(file.read_bytes()) == [], file.name
    assert canaries.found_in(_dump_mysql(mysql_url)) == []
    assert canaries.found_in(_dump_redis(redis_url)) == []


class Answers(dict[str, bytes]):
    """What was answered, by what was asked."""

    def __iadd__(self, other: dict[str, bytes]) -> "Answers":
        self.update(other)
        return self


async def _plant_and_provoke(cluster: Cluster, canaries: Canaries) -> Answers:
    """Put a secret into every slot, and let everything fail that uses one."""
    answers = Answers()
    provider = await cluster.add_provider("messages", accounts=0)
    idp = FakeIdp()
    runner = await idp.start()
    cluster.stack.push_async_callback(runner.cleanup)
    proxy = FakeProxy("user", canaries.new("proxy password"))
    await proxy.start()
    cluster.stack.push_async_callback(proxy.stop)
    answers["proxy"] = _bytes(
        await cluster.api("POST", "/proxies", {"label": "p", "url": proxy.url, "max_accounts": 2})
    )
    wrong = proxy.url.replace(canaries.planted["proxy password"], canaries.new("wrong password"))
    wrong = wrong.replace("127.0.0.1", "127.0.0.3")
    answers["refused proxy"] = _bytes(
        await cluster.api("POST", "/proxies", {"label": "w", "url": wrong, "max_accounts": 1})
    )
    api_key = canaries.new("api key")
    answers["account"] = _bytes(await cluster.add_account("anthropic", api_key, label="a"))
    idp.client_secret = canaries.new("client secret")
    family = "canaryfamily" + secrets.token_hex(8)
    canaries.planted["refresh token"] = idp.add_family(family)
    canaries.planted["next refresh token"] = f"refresh-{family}-1"
    canaries.planted["new access token"] = f"access-{family}-1"
    answers["oauth"] = _bytes(
        await cluster.add_account(
            "anthropic",
            "o",
            auth_type="oauth",
            auth_data={
                "access_token": canaries.new("access token"),
                "refresh_token": canaries.planted["refresh token"],
                "expires_at": time.time() - 5,
                "token_url": f"{idp.url}/token",
                "client_id": "client",
                "client_secret": idp.client_secret,
                "token_params": {"audience": canaries.new("token parameter")},
            },
        )
    )
    token = canaries.new("bearer token")
    answers["bearer"] = _bytes(
        await cluster.add_account(
            "anthropic", "b", label="b", auth_type="bearer", auth_data={"token": token}
        )
    )
    body = {"provider_id": "anthropic", "label": "x", "auth_type": "api_key"}
    refused = {**body, "auth_data": {"api_key": canaries.new("refused key"), "odd": 1}}
    answers["refused"] = _bytes(await cluster.api("POST", "/accounts", refused, expect=422))
    await asyncio.sleep(1.0)
    for status in (200, 400, 401, 403, 429, 500):
        for key in () if status == 200 else canaries.planted.values():
            echo = json.dumps({"error": {"type": "api_error", "message": f"refused: {key}"}})
            provider.failures_by_key[key] = Failure(status, echo.encode())
        for path in ("/v1/messages", "/v1/chat/completions"):
            for stream in (False, True):
                response = await cluster.post(path, {**ASK, "stream": stream})
                told = json.dumps(dict(response.headers)).encode() + await response.read()
                answers[f"{status} {path} {stream}"] = told
        for account in (await cluster.api("GET", "/accounts"))["data"]:
            await cluster.api("POST", f"/accounts/{account['id']}/reset")
    assert provider.by_key[api_key] > 0
    assert provider.by_key[token] + provider.by_key[f"access-{family}-1"] > 0
    await _plant_at_google(cluster, canaries, answers)
    wrong_key = canaries.new("unknown client key")
    response = await cluster.post("/v1/messages", ASK, key=wrong_key)
    answers["unknown key"] = await response.read()
    return answers


async def _plant_at_google(cluster: Cluster, canaries: Canaries, answers: Answers) -> None:
    """Keys and tokens at Google's services, a client's key in the query, and stored answers."""
    fakes = [await cluster.add_provider(kind, accounts=0) for kind in ("gemini", "antigravity")]
    key, token = canaries.new("google key"), canaries.new("google token")
    answers["gemini"] = _bytes(await cluster.add_account("gemini", key, label="g"))
    answers["antigravity"] = _bytes(
        await cluster.add_account(
            "antigravity", "c", label="c", auth_type="bearer", auth_data={"token": token}
        )
    )
    await asyncio.sleep(1.0)
    said = canaries.new("said in a stored conversation")
    for status in (200, 400, 403, 429, 500):
        for fake, secret in zip(fakes, (key, token), strict=True):
            details = [{"reason": "API_KEY_INVALID", "metadata": {"consumer": f"key:{secret}"}}]
            error = {"code": status, "message": f"no {secret}", "status": "X", "details": details}
            failure = Failure(status, json.dumps({"error": error}).encode())
            fake.failures_by_key = {} if status == 200 else {secret: failure}
        for provider_id in ("gemini", "antigravity"):
            model = f"{provider_id}/gemini-3-fake"
            path = f"/v1beta/models/{model}:generateContent"
            body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
            async with cluster.http.post(
                f"{cluster.url}{path}?key={cluster.key}", json=body
            ) as response:
                answers[f"{status} {path}"] = await response.read()
                assert (response.status == 200) is (status == 200), answers[f"{status} {path}"]
            asked = {"model": model, "input": said}
            response = await cluster.post("/v1/responses", asked)
            answers[f"{status} {model} responses"] = await response.read()
        for account in (await cluster.api("GET", "/accounts"))["data"]:
            await cluster.api("POST", f"/accounts/{account['id']}/reset")


async def _everything_readable(cluster: Cluster) -> dict[str, bytes]:
    answers = {path: _bytes(await cluster.api("GET", path)) for path in READABLE}
    for path in ("/openapi.json", "/docs", "/health", "/health/ready"):
        async with cluster.http.get(cluster.url + path) as response:
            answers[path] = await response.read()
    return answers


def _command_lines(cluster: Cluster) -> list[bytes]:
    """What anybody on the machine sees of the processes with `ps`."""
    assert cluster.process is not None
    pids = [cluster.process.pid, *cluster.worker_pids()]
    return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def _dump_mysql(address: str) -> bytes:
    url = make_url(address)
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "",
        database=url.database,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        tables = [row[0] for row in cursor.fetchall()]
        dump = b""
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            dump += repr(cursor.fetchall()).encode()
    assert b"first admin key" in dump or b"anthropic" in dump
    return dump


def _dump_redis(address: str) -> bytes:
    with Redis.from_url(address) as connection:
        keys = list(connection.scan_iter())
        assert any(key.startswith(b"responses:") for key in keys)
        assert any(key.startswith(b"account:rr:") for key in keys)
        assert any(key.startswith(b"auth:anthropic:") for key in keys)
        values = [connection.dump(key) or b"" for key in keys]
        texts = [connection.get(key) or b"" for key in keys if connection.type(key) == b"string"]
    return b"".join([*keys, *values, *texts])
