"""SQL in keys, ids, filters and names is text like any other (I-11)."""

import ast
import logging
import re
from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.security.requests import PLAIN
from tests.security.shapes import failures_in

ROOT = Path(__file__).parents[2]
LISTS = ("/accounts", "/proxies", "/providers", "/api-keys")

_QUOTES = ("'", '"', "`", "')", '")', "'))", "\\'", "%27", "\u02bc", "\u2019", "")
_ATTACKS = (
    " OR 1=1 -- ",
    " OR '1'='1",
    "; DROP TABLE accounts; --",
    "; DELETE FROM api_keys; #",
    "; UPDATE api_keys SET is_admin = 1; --",
    " UNION SELECT auth_data FROM accounts -- ",
    " UNION ALL SELECT key_hash, 2, 3, 4, 5 FROM api_keys #",
    " AND SLEEP(3) -- ",
    " AND 1=(SELECT COUNT(*) FROM sqlite_master) -- ",
    " AND EXTRACTVALUE(1, CONCAT(0x7e, VERSION())) -- ",
    "||(SELECT url FROM proxy_pool)||",
    " ORDER BY 99 -- ",
    " LIMIT 1 OFFSET 1 INTO OUTFILE '/tmp/x' -- ",
    "/**/OR/**/1=1/*",
    " HAVING 1=1 -- ",
    " AND RANDOMBLOB(1000000000) -- ",
    " LIKE '%",
)
_ALONE = (
    "%",
    "_",
    "%%",
    "\\",
    "*",
    "1=1",
    "NULL",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "NaN",
    "''",
    "%s",
    "%(id)s",
    ":id",
    "?",
    "{0}",
    "${id}",
    "@@version",
    "0x61646d696e",
    "CHAR(39)",
    "admin'/*",
    "\U0001f600'",
    "a' COLLATE NOCASE -- ",
)
PAYLOADS = [f"x{mark}{attack}" for mark, attack in product(_QUOTES, _ATTACKS)] + list(_ALONE)


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


@pytest.fixture
async def mysql_rig(
    tmp_path: Path, mysql_url: str, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, {"AIGATEWAY_DATABASE__URL": mysql_url}) as opened:
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


async def plant(rig: Rig) -> str:
    """Make one of everything, so that there is something to be found by mistake."""
    await rig.add_provider("messages")
    await rig.api("POST", "/proxies", {"url": "http://127.0.0.1:9", "provider_id": "openai"})
    assert (await rig.post("/v1/messages", PLAIN["messages"])).status == 200
    (row,) = await rig.logs(1)
    (account,) = (await rig.api("GET", "/accounts"))["data"]
    assert row["account_id"] == account["id"]
    return str(account["id"])


async def state(rig: Rig) -> list[Any]:
    """Return everything that the API shows of what is stored, but for requests."""
    return [await rig.api("GET", f"{path}?limit=500") for path in LISTS]


async def call(rig: Rig, method: str, path: str, body: object = None) -> tuple[int, Any]:
    headers = {"x-api-key": rig.admin_key}
    url = f"{rig.url}/api/v1{path}"
    async with rig.http.request(method, url, json=body, headers=headers) as response:
        return response.status, await response.json() if response.status != 204 else None


FILTERS = (
    "/accounts?provider_id=",
    "/accounts?proxy_id=",
    "/accounts?egress_status=",
    "/accounts?is_active=",
    "/proxies?provider_id=",
    "/stats/logs?provider_id=",
    "/stats/logs?account_id=",
    "/stats/logs?proxy_id=",
    "/stats/logs?key_id=",
    "/stats/logs?model=",
    "/stats/logs?error_code=",
    "/stats/logs?status=",
    "/stats/logs?since=",
    "/stats/logs?limit=",
    "/stats/logs?offset=",
    "/stats/logs?order_by=",
    "/accounts?sort=",
    "/stats/summary?since=",
)


async def find_nothing(rig: Rig, payloads: list[str]) -> None:
    """Use each payload as every filter and every id: nothing is found, nothing fails."""
    before = await state(rig)
    for payload in payloads:
        for path in FILTERS:
            status, told = await call(rig, "GET", path + quote(payload, safe=""))
            known = {
                "status": ("0",),
                "offset": ("0",),
                "is_active": ("true",),
                "since": ("0", "1e9"),
            }
            if payload in known.get(path.partition("?")[2][:-1], ()):
                continue
            assert status in {200, 422}, (path, payload, told)
            if status == 200:
                assert (told["total"], told["data"]) == (0, []), (path, payload)
        for path in (*LISTS, "/stats/proxies"):
            status, told = await call(rig, "GET", f"{path}/{quote(payload, safe='')}")
            assert status == 404, (path, payload, told)
    assert await state(rig) == before


async def change_nothing(rig: Rig, payloads: list[str]) -> None:
    """Use each payload as the id of what is changed or deleted, and as a key."""
    before = await state(rig)
    for payload in payloads:
        spelled = quote(payload, safe="")
        for method, path, body in (
            ("DELETE", "/accounts", None),
            ("DELETE", "/api-keys", None),
            ("DELETE", "/providers", None),
            ("PATCH", "/proxies", {"is_active": False}),
            ("PATCH", "/api-keys", {"is_admin": True}),
        ):
            status, told = await call(rig, method, f"{path}/{spelled}", body)
            assert status == 404, (method, path, payload, told)
        plain = payload.encode("ascii", "ignore").decode()
        for headers in ({"x-api-key": plain or "x"}, {"authorization": f"Bearer {plain or 'x'}"}):
            url = f"{rig.url}/api/v1/accounts"
            assert (await rig.http.get(url, headers=headers)).status == 401
    assert await state(rig) == before


async def store(rig: Rig, payloads: list[str]) -> None:
    """Store each payload under every name that is free, and find it again as it was."""
    names, models = {}, set()
    for payload in payloads:
        visible = re.sub("[^!-~]", "+", payload)[:100]
        account = await rig.add_account(
            "anthropic", "k", label=payload, metadata={payload: payload}, models=[visible]
        )
        _, key = await call(rig, "POST", "/api-keys", {"name": payload, "is_admin": False})
        names[account["id"]] = names[key["id"]] = payload
        models.add(visible)
        response = await rig.post(
            "/v1/messages", {**PLAIN["messages"], "model": f"claude-{payload}"}
        )
        assert response.status in {200, 503}
    for account_id, label in names.items():
        _, told = await call(rig, "GET", f"/accounts/{account_id}")
        if "error" not in told:
            assert (told["label"], told["metadata"]) == (label, {label: label})
    accounts = [entry for entry in await everything(rig, "/accounts") if entry["id"] in names]
    keys = [entry for entry in await everything(rig, "/api-keys") if entry["id"] in names]
    assert [entry["label"] for entry in accounts] == payloads
    assert sorted(entry["name"] for entry in keys) == sorted(payloads)
    assert {entry["models"][0] for entry in accounts} == models
    await rig.logs(1 + len(payloads))
    for payload in payloads:
        asked = quote(f"claude-{payload}", safe="")
        told = await rig.api("GET", f"/stats/logs?model={asked}")
        assert [row["model"] for row in told["data"]] == [f"claude-{payload}"]


async def everything(rig: Rig, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await rig.api("GET", f"{path}?limit=500&offset={len(found)}")
        found += page["data"]
        if len(found) == page["total"]:
            return found


async def test_sql_finds_and_changes_nothing(rig: Rig) -> None:
    assert len(set(PAYLOADS)) >= 200
    await plant(rig)
    await find_nothing(rig, PAYLOADS)
    await change_nothing(rig, PAYLOADS)


async def test_sql_is_stored_as_the_text_it_is(rig: Rig) -> None:
    await plant(rig)
    await store(rig, list(dict.fromkeys(PAYLOADS[::3] + list(_ALONE))))


async def test_sql_is_only_text_to_mariadb(mysql_rig: Rig) -> None:
    some = PAYLOADS[::6] + list(_ALONE)
    await plant(mysql_rig)
    await find_nothing(mysql_rig, some)
    await change_nothing(mysql_rig, some)
    await store(mysql_rig, list(dict.fromkeys(some)))


# --- the source ---------------------------------------------------------------------------------

SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|REPLACE|PRAGMA|SET|LOCK|WITH|CALL)\b"
)
# Statements put together from text, and of what: none of it comes from anybody.
OURS = {
    (
        "engine.py",
        "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
        "lock_wait_timeout = 60, innodb_lock_wait_timeout = {}",  # a number of the settings
    ),
    ("engine.py", "PRAGMA busy_timeout = {}"),  # a constant
    ("engine.py", "PRAGMA foreign_keys = {}"),  # 0 or 1
    ("bulk.py", "INSERT OR ROLLBACK INTO {} ({}) VALUES {}"),  # our tables, columns and marks
    # Our tables and columns; values as the driver would write them: numbers, or text it escaped.
    ("bulk.py", "INSERT INTO {} ({}) VALUES {}"),
    ("migrate.py", "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4"),  # quoted
}
RUNNERS = {"text", "DDL", "exec_driver_sql", "execute", "executemany"}


def composed(path: Path) -> Iterator[str]:
    """Find SQL that is put together from text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            template = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            if SQL.match(template):
                yield template
        elif isinstance(node, ast.Call) and _name(node.func) in RUNNERS and node.args:
            statement = node.args[0]
            is_formatted = isinstance(statement, ast.Call) and _name(statement.func) == "format"
            if isinstance(statement, ast.BinOp) or is_formatted:
                yield ast.unparse(statement)
            if _name(node.func) == "text" and not isinstance(statement, ast.Constant):
                yield ast.unparse(node)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_no_statement_is_put_together_from_text() -> None:
    files = sorted((ROOT / "repositories").rglob("*.py"))
    assert len(files) > 20
    found = {(path.name, template) for path in files for template in composed(path)}
    assert found == OURS


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute(text(f'SELECT * FROM t WHERE id = {key}'))",
        "text('SELECT ' + name)",
        "text('SELECT {}'.format(name))",
        "connection.execute('SELECT %s' % name)",
        "text(statement)",
    ],
)
def test_such_statements_would_be_found(tmp_path: Path, source: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(source)
    assert list(composed(path))
