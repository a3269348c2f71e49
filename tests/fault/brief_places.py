"""`aigateway` whose places at accounts last a tenth of the time, so that a test need not wait."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import aigateway.serving
import aigateway.serving_parts
from aigateway import cli
from services.pool import Pool

SHARE: Final = 0.1


def _worker_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tests.fault.brief_places", "serve", *arguments]


if __name__ == "__main__":
    brief = partial(Pool, slot_ttl_s=60 * SHARE, slot_renew_every_s=20 * SHARE)
    vars(aigateway.serving_parts)["Pool"] = brief
    vars(aigateway.serving)["worker_command"] = _worker_command
    sys.exit(cli.main())
