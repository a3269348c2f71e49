"""What holds for every test: nothing blocks the loop, nothing of the developer's leaks in."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Final

import hypothesis
import pytest
from blockbuster import BlockBuster

from tests import aioresponses_shim, chosen, servers
from tests.e2e import matrix_table

# Where blocking calls are looked for: our code and whatever it calls, not the tests themselves.
OUR_PACKAGES = [
    "aigateway",
    "auth",
    "config",
    "dialects",
    "handlers",
    "models",
    "openapi",
    "providers",
    "repositories",
    "services",
]

# Settings, proxies and keys of whoever runs the tests are none of their business.
_FOREIGN = (
    "ANTHROPIC_",
    "OPENAI_",
    "GEMINI_",
    "GOOGLE_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)

aioresponses_shim.install()

# The same examples each time, so that a run says of a commit what the next one will say; with
# AIGATEWAY_TEST_EXAMPLES, so many at random. Machines differ in speed: how long one takes decides
# nothing.
EXAMPLES: Final = int(os.environ.get("AIGATEWAY_TEST_EXAMPLES") or 0)
hypothesis.settings.register_profile(
    "aigateway",
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 100,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("aigateway")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(matrix_table)
    for name in list(os.environ):
        ours = name.startswith("AIGATEWAY_") and not name.startswith("AIGATEWAY_TEST_")
        if ours or name.upper().startswith(_FOREIGN):
            del os.environ[name]


if chosen.LOOP:  # A folder whose tests hold on every loop has a hook of its own, which wins.

    def pytest_asyncio_loop_factories() -> Mapping[str, chosen.LoopFactory]:
        return {str(chosen.LOOP): chosen.new_loop}


@pytest.fixture(scope="session", autouse=True)
def blocking_watch() -> Iterator[BlockBuster]:
    """Fail whatever blocks the event loop inside our code."""
    watch = BlockBuster(scanned_modules=OUR_PACKAGES)
    for function in watch.functions.values():
        # A test that takes too long is interrupted wherever it is, and its report is written there.
        function.can_block_in("pytest_timeout.py", "handler")
    watch.activate()
    yield watch
    watch.deactivate()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What a test enters here is left after it, the last first."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def mysql_url() -> Iterator[str]:
    """The address of an empty MariaDB or MySQL database of this test's own."""
    with servers.mysql_database(servers.server_url(servers.MYSQL_URL)) as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The address of an empty Redis database of this test's own."""
    with servers.redis_database(servers.server_url(servers.REDIS_URL)) as url:
        yield url


@pytest.fixture
def redis_prefix() -> str:
    """A beginning for keys and channels that no other test uses."""
    return f"test:{secrets.token_hex(6)}:"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Call a run what it is: no test ran, or some were left out where none may be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(session.config, "workerinput") or session.config.option.collectonly or not reporter:
        return
    if session.exitstatus != pytest.ExitCode.OK:
        return
    if not any(reporter.stats.get(kind) for kind in ("passed", "xfailed")):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    elif reporter.stats.get("skipped") and os.environ.get(servers.REQUIRED) == "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end which tests were left out, by module, and why."""
    left_out: dict[tuple[str, str], int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        place = (report.nodeid.partition("::")[0], reason.removeprefix("Skipped: "))
        left_out[place] = left_out.get(place, 0) + 1
    if not left_out:
        return
    allowed = os.environ.get(servers.REQUIRED) != "1"
    terminalreporter.section("left out on this machine" if allowed else "LEFT OUT: NOT ALLOWED")
    for (module, reason), count in sorted(left_out.items()):
        terminalreporter.line(f"{module}: {count} ({reason})")
