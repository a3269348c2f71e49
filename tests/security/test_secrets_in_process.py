"""No secret is ever seen: planted in every slot, looked for everywhere (S-01, S-03, A-10).

In this process, so that everything can be watched before any mask: every logger at DEBUG, every
object's `repr`, every file while it is open. `test_canaries.py` does the same from outside.
"""

import asyncio
import base64
import gc
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from config.sources import load_settings
from models.errors import StorageUnavailable
from models.exchange import UpstreamRequest
from repositories.sql.accounts import SqlAccounts
from repositories.sql.stats import SqlStats
from services.aiohttp_transport import HttpTransport
from services.by_egress import ByEgress
from services.tokens import Tokens
from services.wire.transport import WireTransport
from tests import chosen
from tests.conftest import OUR_PACKAGES
from tests.e2e.harness import MODELS, open_rig
from tests.security.canaries import Canaries, LogWatch, leaks
from tests.security.echoes import fail_at_providers, fail_to_refresh
from tests.security.requests import PATHS, PLAIN
from tests.security.shapes import error_of
from tests.security.stage import QUICK, Stage, fail_on_the_way, look_around, misuse, serve, set_up
from tests.waiting import until

LOUD = ("", "aiohttp", "alembic", "apscheduler", "asyncio", "pymysql", "redis", "sqlalchemy")

TRANSPORT: type[WireTransport | HttpTransport] = (
    WireTransport if chosen.CLIENT == "own" else HttpTransport
)


@pytest.fixture
def watch() -> Iterator[LogWatch]:
    """Everything that anybody logs."""
    handler = LogWatch()
    before = {name: logging.getLogger(name).level for name in LOUD}
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def environment(canaries: Canaries) -> dict[str, str]:
    raw = secrets.token_bytes(32)
    master_key = base64.urlsafe_b64encode(raw).decode()
    canaries.values["master key"] = master_key
    return {
        "AIGATEWAY_SECURITY__ADMIN_KEY": canaries["admin key"],
        "AIGATEWAY_SECURITY__MASTER_KEY": master_key,
        **QUICK,
    }


@pytest.fixture
async def stage(
    tmp_path: Path, canaries: Canaries, environment: dict[str, str], watch: LogWatch
) -> AsyncIterator[Stage]:
    # The loop tells of tasks and callbacks, their arguments included.
    asyncio.get_running_loop().set_debug(True)
    async with open_rig(tmp_path, environment) as rig:
        canaries.values["client key"] = rig.key[3:35]
        yield await set_up(rig, canaries)


@pytest.mark.timeout(180)
async def test_no_answer_and_no_log_line_shows_a_secret(stage: Stage, watch: LogWatch) -> None:
    await serve(stage)
    await fail_at_providers(stage, every=7)
    await fail_on_the_way(stage)
    await fail_to_refresh(stage)
    await misuse(stage)
    await look_around(stage)
    assert len(stage.seen.texts) > 200
    assert leaks(stage.canaries, stage.seen.texts) == []
    assert leaks(stage.canaries, watch.texts) == []
    # Each of the loud ones was heard.
    heard = {name.partition(".")[0] for name in watch.loggers}
    wanted = {"aiohttp", "services", "sqlalchemy"}
    assert heard >= (wanted if chosen.LOOP == "uvloop" else {*wanted, "asyncio"})


@pytest.mark.parametrize("kind", MODELS)
async def test_exceptions_that_hold_secrets_show_none(
    stage: Stage, watch: LogWatch, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Every layer raises, with all that it was given in the text of the exception."""
    model = {name: MODELS[name] for name in MODELS}[kind]  # type: ignore[index]  # its own keys

    def explode(*arguments: object, **named: object) -> NoReturn:
        raise RuntimeError(f"forced {arguments!r} {named!r}")

    places: tuple[tuple[type, str], ...] = (
        (TRANSPORT, "send"),
        (ByEgress, "get"),
        (Tokens, "get"),
    )
    for owner, name in places:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, explode)
            for dialect, path in PATHS.items():
                for stream in (False, True):
                    body = {**PLAIN[dialect], "model": model, "stream": stream}
                    response = await stage.rig.post(path, body)
                    await stage.seen.note(response)
                    # GLM's account has no proxy, so no session of its own, but refreshes first.
                    if response.status != 200:
                        assert response.status in {500, 502, 503}  # 502: a project not found
                        assert "forced" not in error_of(path, await response.read())["message"]
    with monkeypatch.context() as patch:
        patch.setattr(SqlAccounts, "create", explode)
        data = {"api_key": stage.canaries["refused api_key"]}
        body = {"provider_id": "glm", "auth_type": "api_key", "auth_data": data}
        told = await stage.api("POST", "/accounts", body)
        assert told["error"]["code"] == "internal"
    assert any("forced" in text for text in watch.texts)
    assert leaks(stage.canaries, watch.texts) == []
    assert leaks(stage.canaries, stage.seen.texts) == []


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_no_file_holds_a_secret(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database with its log, and what only exists in trouble: the spool and the journal."""

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise StorageUnavailable("away")

    await serve(stage)
    with monkeypatch.context() as patch:
        patch.setattr(SqlAccounts, "store_tokens", refuse)
        patch.setattr(SqlStats, "store", refuse)
        glm = {**PLAIN["chat"], "model": "glm-fake"}
        (account,) = (await stage.api("GET", "/accounts?provider_id=glm"))["data"]
        again = stage.idp.add_family(stage.canaries["idp family"] + "2")
        login = {
            "refresh_token": again,
            "token_url": f"{stage.idp.url}/token",
            "client_id": "c",
            "client_secret": stage.canaries["client_secret"],
        }
        await stage.api("PATCH", f"/accounts/{account['id']}", {"auth_data": login})
        assert await stage.ask("/v1/chat/completions", glm) == 200
        for dialect, path in PATHS.items():
            await stage.ask(path, {**PLAIN[dialect], "model": "gpt-fake"})
        # Let the disk have what the database does not take.
        await until(lambda: sum(map(len, _below(files_of(tmp_path), "spool").values())) > 0)
        files = files_of(tmp_path)
    assert sum(map(len, _below(files, "journal").values())) > 0
    assert any(name.endswith("-wal") and data for name, data in files.items())
    for name, data in {**files, **files_of(tmp_path)}.items():
        assert stage.canaries.found_in(data) == [], name


def _below(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if f"/{folder}/" in f"/{name}"}


async def test_no_object_of_ours_shows_a_secret(
    stage: Stage, environment: dict[str, str], tmp_path: Path
) -> None:
    """Every object of our classes that is alive while calls run, as `repr` and as `str`."""
    await serve(stage)
    kept: list[UpstreamRequest] = []
    real = TRANSPORT.send

    async def keep(
        self: WireTransport | HttpTransport,
        request: UpstreamRequest,
        *rest: object,
        **named: object,
    ) -> object:
        kept.append(request)
        return await real(self, request, *rest, **named)  # type: ignore[arg-type]  # passed on

    TRANSPORT.send = keep  # type: ignore[method-assign,assignment]  # for a moment
    try:
        for dialect, path in PATHS.items():
            for model in MODELS.values():
                await stage.ask(path, {**PLAIN[dialect], "model": model})
    finally:
        TRANSPORT.send = real  # type: ignore[method-assign]
    environ = {**environment, "AIGATEWAY_DATA_DIR": str(tmp_path)}
    settings = await asyncio.to_thread(load_settings, None, environ)
    ours = [found for found in gc.get_objects() if _is_ours(found)]
    names = {type(found).__name__ for found in ours}
    wanted = {"StoredAccount", "Credentials", "OAuthClient", "EgressProxy", "UpstreamRequest"}
    assert names >= {*wanted, "Settings", "Vault", "Snapshot", "Account", "ApiKey"}
    assert len(kept) == 2 * len(MODELS)
    assert len(ours) > 300
    for found in [*ours, settings, settings.security, settings.database]:
        for text in (repr(found), str(found)):
            assert stage.canaries.found_in(text) == [], type(found)
    for account in (found for found in ours if type(found).__name__ == "StoredAccount"):
        assert stage.canaries.found_in(f"{account} {[account]} { ({'a': account})!r}") == []


def _is_ours(found: object) -> bool:
    kind = type(found)
    module = getattr(kind, "__module__", "")
    return isinstance(module, str) and module.partition(".")[0] in OUR_PACKAGES


def test_a_spelling_of_any_kind_would_be_found(canaries: Canaries) -> None:
    secret = canaries["api_key"]
    raw = secret.encode()
    shown = [
        secret,
        f"https://x.test/?key={secret}",
        "%".join(["", *[f"{byte:02x}" for byte in b"/"]]) + secret.strip("b/"),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"user:" + raw).decode(),
        base64.urlsafe_b64encode(b"x" + raw + b"yz").decode(),
        raw.hex(),
        repr({"a": [secret]}),
    ]
    for text in shown:
        assert canaries.found_in(text) == ["api_key"], text
    assert canaries.found_in("nothing of it") == []
