"""`aigateway`, one of whose workers dies at a fail point: the first to come by, once.

The fail points are files in the folder AIGATEWAY_TEST_TRAPS, laid by the test while the gateway
runs; whoever comes by takes the file away and dies. The variable that arms fail points for good
would kill the restarted worker again, and its siblings too.
"""

import os
import sys
from pathlib import Path

from aigateway import cli
from services import failpoints


class _Traps(frozenset[str]):
    """Holds a name if its file was there; asking takes the file away."""

    def __contains__(self, name: object) -> bool:
        try:
            Path(os.environ["AIGATEWAY_TEST_TRAPS"], str(name)).unlink()
        except FileNotFoundError:
            return False
        return True


if __name__ == "__main__":
    failpoints._ARMED = _Traps()
    sys.exit(cli.main())
