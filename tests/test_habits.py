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


def _run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run pytest by itself, with no service in sight."""
    unwanted = {servers.REDIS_URL, servers.REQUIRED, "PYTEST_ADDOPTS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_run_in_which_no_test_ran_is_no_success_and_says_why() -> None:
    run = _run(_NEEDS_REDIS)
    assert run.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    line = f"{_NEEDS_REDIS.partition('::')[0]}: 1 (AIGATEWAY_TEST_REDIS_URL is not set)"
    assert line in run.stdout.splitlines()


@pytest.mark.parametrize(
    ("required", "outcome"),
    [("0", pytest.ExitCode.OK), ("1", pytest.ExitCode.TESTS_FAILED)],
)
def test_where_services_are_required_no_test_may_be_left_out(
    tmp_path: Path, required: str, outcome: pytest.ExitCode
) -> None:
    some = tmp_path / "test_some.py"
    some.write_text(
        "import pytest\n"
        "def test_one() -> None: pass\n"
        "@pytest.mark.skip(reason='no time')\n"
        "def test_two() -> None: pass\n"
    )
    run = _run(
        *("-c", "pyproject.toml", "--rootdir", ".", "-p", "tests.conftest", str(some)),
        AIGATEWAY_TEST_REQUIRE_SERVICES=required,
    )
    assert (run.returncode, "1 passed, 1 skipped" in run.stdout) == (outcome, True)


def test_settings_of_the_developer_do_not_reach_the_tests() -> None:
    foreign = {
        name
        for name in os.environ
        if name.startswith("AIGATEWAY_") and not name.startswith("AIGATEWAY_TEST_")
    }
    assert foreign == set()
    assert "HTTP_PROXY" not in os.environ
