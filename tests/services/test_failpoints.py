"""Only a test may let the gateway die."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_DIE = "from services.failpoints import failpoint; failpoint('refresh.after_journal'); print('on')"


@pytest.mark.parametrize(
    ("environ", "outcome"),
    [
        ({}, 0),
        ({"AIGATEWAY_TEST_FAILPOINTS": "1"}, 0),
        ({"AIGATEWAY_FAILPOINTS": "refresh.after_journal"}, 1),
        ({"AIGATEWAY_FAILPOINTS": "typo", "AIGATEWAY_TEST_FAILPOINTS": "1"}, 1),
        (
            {"AIGATEWAY_FAILPOINTS": "refresh.after_commit", "AIGATEWAY_TEST_FAILPOINTS": "1"},
            0,
        ),
        (
            {
                "AIGATEWAY_FAILPOINTS": "refresh.after_commit, refresh.after_journal",
                "AIGATEWAY_TEST_FAILPOINTS": "1",
            },
            -signal.SIGKILL,
        ),
    ],
)
def test_a_fail_point_kills_only_where_a_test_asked_for_it(
    environ: dict[str, str], outcome: int
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _DIE],
        env={"PATH": "", **environ},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert ran.returncode == outcome
    assert (b"on" in ran.stdout) is (outcome == 0)
