"""Places at which a test lets this process die, as if the machine had stopped there.

`AIGATEWAY_FAILPOINTS` names them, separated by commas; it counts only together with
`AIGATEWAY_TEST_FAILPOINTS=1`, so that one stray variable kills nobody.
"""

import os
import signal
from collections.abc import Mapping
from typing import Final

POINTS: Final = frozenset(
    {
        "refresh.before_call",
        "refresh.after_response",
        "refresh.after_journal",
        "refresh.after_commit",
        "refresh.after_publish",
    }
)


def armed(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the fail points that the environment names; raises ValueError when it may not."""
    names = {name.strip() for name in environ.get("AIGATEWAY_FAILPOINTS", "").split(",")} - {""}
    if names and environ.get("AIGATEWAY_TEST_FAILPOINTS") != "1":
        raise ValueError(
            "AIGATEWAY_FAILPOINTS lets the gateway kill itself; unset it "
            "(tests set AIGATEWAY_TEST_FAILPOINTS=1 as well)"
        )
    if unknown := names - POINTS:
        raise ValueError(f"AIGATEWAY_FAILPOINTS: unknown {', '.join(sorted(unknown))}")
    return frozenset(names)


_ARMED = armed(os.environ)


def failpoint(name: str) -> None:
    """Die here if a test says so; else do nothing."""
    if name in _ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
