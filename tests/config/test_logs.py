import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from config.logs import ConsoleLines, JsonLines, configure_logging
from config.redaction import KnownSecrets

CANARY = "sk-canary-0123456789"
KNOWN = "a known secret value"
FORMATTERS = [JsonLines, ConsoleLines]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


def record(message: object, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("t").makeRecord(
        "services.pool", logging.INFO, "f.py", 1, message, args, None, extra=extra
    )


def failed(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        return logging.getLogger("t").makeRecord(
            "t", logging.ERROR, "f.py", 1, "failed", (), sys.exc_info()
        )


def fields(made: logging.LogRecord, worker: int | None = None) -> dict[str, object]:
    line = JsonLines(KnownSecrets([KNOWN]), worker).format(made)
    assert line.isascii()
    result = json.loads(line)
    assert isinstance(result, dict)
    return result


def console(made: logging.LogRecord, worker: int | None = None) -> str:
    return ConsoleLines(KnownSecrets([KNOWN]), worker).format(made)


def test_json_holds_the_event_and_its_fields() -> None:
    made = record("account cooled down", account="0190", seconds=60, models=["a", "b"], extra=None)
    made.created, made.msecs = 0.5, 500.0
    assert fields(made, worker=2) == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "INFO",
        "logger": "services.pool",
        "message": "account cooled down",
        "worker": 2,
        "account": "0190",
        "seconds": 60,
        "models": ["a", "b"],
        "extra": None,
    }


def test_the_console_shows_the_event_and_its_fields() -> None:
    made = record("%s cooled down", "account", account="0190", why="too many", models=["a"])
    made.created, made.msecs = 0.5, 500.0
    assert console(made, worker=2) == (
        "1970-01-01T00:00:00.500Z INFO    services.pool[2]: account cooled down "
        'account=0190 why="too many" models=["a"]'
    )


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(record(f"key {CANARY}"), id="message"),
        pytest.param(record("key %s", CANARY), id="argument"),
        pytest.param(record("key", value=CANARY), id="field"),
        pytest.param(record("key", value={"a": [CANARY, {CANARY: 1}]}), id="nested field"),
        pytest.param(record("key", value=CANARY.encode()), id="bytes"),
        pytest.param(record("key", value=KNOWN), id="known"),
        pytest.param(record(f"x{KNOWN}x"), id="known in the message"),
        pytest.param(record("key", authorization="canary", refresh_token="canary"), id="by name"),
        pytest.param(record("key", headers={"X-Api-Key": "canary"}), id="header by name"),
        pytest.param(record("key", value=f"{'x' * 7_990}{CANARY}{'y' * 9_000}"), id="at a cut"),
        pytest.param(failed(RuntimeError(CANARY)), id="traceback"),
        pytest.param(record("key", value=Unprintable()), id="broken value"),
    ],
)
def test_secrets_are_in_no_line(
    formatter: Callable[[KnownSecrets], logging.Formatter], made: logging.LogRecord
) -> None:
    line = formatter(KnownSecrets([KNOWN])).format(made)
    assert "canary" not in line
    assert KNOWN not in line


def test_a_traceback_is_part_of_its_line() -> None:
    error = ValueError("first\nsecond")
    assert "ValueError: first\nsecond" in str(fields(failed(error))["exception"])
    line = console(failed(error))
    assert line.endswith("| raise error | ValueError: first | second")
    assert "\n" not in line


HOSTILE = "\n2026-11-20 ERROR forged\r\x1b[2J\x9b31m\u2028\u202e\x00\ud800"


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "made",
    [
        record(HOSTILE),
        record("a", value=HOSTILE),
        record("a", **{HOSTILE: 1}),
        record("a", value={HOSTILE: [HOSTILE]}),
        failed(RuntimeError(HOSTILE)),
    ],
)
def test_user_strings_never_begin_a_line_or_reach_the_terminal_raw(
    formatter: Callable[[KnownSecrets], logging.Formatter], made: logging.LogRecord
) -> None:
    line = formatter(KnownSecrets()).format(made)
    assert "forged" in line
    assert line.isprintable()


@pytest.mark.parametrize("formatter", FORMATTERS)
@given(text=st.text(), value=st.one_of(st.text(), st.binary(), st.floats(), st.integers()))
def test_whatever_is_logged_it_is_one_printable_line(
    formatter: Callable[[KnownSecrets], logging.Formatter], text: str, value: object
) -> None:
    made = record(text, value=value, more=[value, {text: value}])
    assert formatter(KnownSecrets()).format(made).isprintable()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (record("%d of %d", 1), "%d of %d (its arguments do not fit)"),
        (record("x" * 20_000), f"{'x' * 4000} ... 20000 characters ... {'x' * 4000}"),
        (record(12), "12"),
    ],
)
def test_an_odd_message_still_makes_a_line(made: logging.LogRecord, expected: str) -> None:
    assert fields(made)["message"] == expected


def test_odd_values_still_make_a_line() -> None:
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    made = record("a", big=10**6000, nan=float("nan"), raw=b"xyz", deep=deep, many=range(3))
    shown = fields(made)
    assert shown["big"] == "<19932 bits>"
    assert shown["nan"] == "nan"
    assert shown["raw"] == "<3 bytes>"
    assert shown["many"] == "range(0, 3)"


def test_a_field_cannot_pose_as_the_events_own() -> None:
    shown = fields(record("a", level="FORGED", time="never"))
    assert shown["level"] == "INFO"
    assert shown["level_"] == "FORGED"
    assert shown["time"] != "never"


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiohttp.server").filters.clear()
    for name in ("aiohttp", "aiohttp.access", "aiohttp.server", "alembic", "apscheduler"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in ("asyncio", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("logging_restored")
def test_events_go_to_standard_error_from_the_level_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("warning", "json", secrets=[KNOWN], worker=3)
    logging.getLogger("services.x").info("quiet")
    logging.getLogger("services.x").warning("loud %s", KNOWN)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert json.loads(line)["message"] == "loud ***"
    assert json.loads(line)["worker"] == 3


@pytest.mark.usefixtures("logging_restored")
def test_libraries_tell_no_values_even_at_debug(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "console")
    logging.getLogger("sqlalchemy.engine").info("INSERT %r", "value")
    logging.getLogger("asyncio").debug("value")
    logging.getLogger("services.x").debug("seen")
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["seen"]


MALFORMED = [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\nA B: c\n\n",
]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _fine(_: web.Request) -> web.Response:
    return web.Response()


async def _serve(handler: Handler, requests: list[bytes]) -> list[bytes]:
    """Answer the raw requests, each on a connection of its own; return the status lines."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    answers = []
    try:
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answers.append(await asyncio.wait_for(reader.readline(), 10))
            writer.close()
            await writer.wait_closed()
    finally:
        await runner.cleanup()
    return answers


@pytest.mark.usefixtures("logging_restored")
async def test_malformed_requests_make_one_warning_each_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("debug", "json")
    answers = await _serve(_fine, MALFORMED)
    assert all(b" 400 " in answer for answer in answers)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == len(MALFORMED)
    assert {(line["level"], line["message"]) for line in lines} == {
        ("WARNING", "malformed request")
    }
    assert not any("exception" in line for line in lines)


@pytest.mark.usefixtures("logging_restored")
async def test_malformed_requests_are_silent_when_only_errors_are_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("error", "json")
    await _serve(_fine, MALFORMED)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("logging_restored")
async def test_a_failure_of_ours_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("ours")

    configure_logging("error", "json")
    await _serve(broken, [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["level"] == "ERROR"
    assert "RuntimeError: ours" in line["exception"]
