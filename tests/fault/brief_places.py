"""`aigateway` whose places at accounts last a tenth of the time, so that a test need not wait."""

import sys
from functools import partial
from typing import Final

import aigateway.serving_parts
from aigateway import cli
from services.pool import Pool

SHARE: Final = 0.1


if __name__ == "__main__":
    brief = partial(Pool, slot_ttl_s=60 * SHARE, slot_renew_every_s=20 * SHARE)
    vars(aigateway.serving_parts)["Pool"] = brief
    sys.exit(cli.main())
