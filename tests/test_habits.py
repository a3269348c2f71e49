"""The rules that conftest.py lays over every test, and the run as a whole."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from blockbuster import BlockingError

from tests import servers

ROOT = Path(__file__).parent.parent
_NEEDS_REDIS = "tests/test_servers.py::test_two_redis_databases_do_not_see_each_other"


def _coroutine_of(path: Path) -> Callable[[], Awaitable[None]]:
    """Compile a coroutine that blocks for no time, as if it stood in a file."""
    source = "import time\nasync def rest():\n    time.sleep(0)\n"
    names: dict[str, object] = {}
    exec(compile(source, str(path), "exec"), names)  # noqa: S102 - our own text, just above
    return cast("Callable[[], Awaitable[None]]", names["rest"])


async def test_code_of_ours_that_blocks_the_loop_fails() -> None:
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        await _coroutine_of(ROOT / "services" / "sleepy.py")()


async def test_a_test_may_prepare_files_on_the_loop() -> None:
    await _coroutine_of(ROOT / "tests" / "sleepy.py")()


@pytest.fixture(scope="module")
def run_of_one_left_out() -> subprocess.CompletedProcess[str]:
    """A run of one test that lacks its service, with a developer's settings around it."""
    unwanted = {servers.REDIS_URL, servers.REQUIRED, "PYTEST_ADDOPTS"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", _NEEDS_REDIS],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in unwanted},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_run_in_which_no_test_ran_is_no_success(
    run_of_one_left_out: subprocess.CompletedProcess[str],
) -> None:
    assert run_of_one_left_out.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_what_was_left_out_is_named_with_its_reason(
    run_of_one_left_out: subprocess.CompletedProcess[str],
) -> None:
    line = "tests/test_servers.py: 1 (AIGATEWAY_TEST_REDIS_URL is not set)"
    assert line in run_of_one_left_out.stdout.splitlines()


def test_settings_of_the_developer_do_not_reach_the_tests() -> None:
    foreign = {
        name
        for name in os.environ
        if name.startswith("AIGATEWAY_") and not name.startswith("AIGATEWAY_TEST_")
    }
    assert foreign == set()
    assert "HTTP_PROXY" not in os.environ
