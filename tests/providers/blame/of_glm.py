"""What GLM says, in both of its formats."""

from typing import Final

from dialects.anthropic import MESSAGES
from models.errors import Blame, ErrorKind
from providers.glm import PROVIDER as GLM
from tests.providers.blame.case import DAY, HOUR, Case, claude, zhipu

K, B = ErrorKind, Blame
_WINDOW: Final = "Usage limit reached for 5 hour. Your limit will reset at "
_WEEK: Final = "Weekly/Monthly Limit Exhausted. Your limit will reset at "

CASES: Final = (
    Case("5h window, by Beijing's clock", GLM, 429, zhipu("1308", f"{_WINDOW}2026-11-20 23:00:00"),
         K.QUOTA, B.ACCOUNT, 429, "code 1308, 5h window", pause=3 * HOUR),
    Case("pain 11: a 5h window never lasts for days", GLM, 429,
         zhipu("1308", f"{_WINDOW}2026-12-08 20:00:00"),
         K.QUOTA, B.ACCOUNT, 429, "code 1308, 5h window", pause=6 * HOUR),
    Case("a window, its reset is not told", GLM, 429, zhipu("1308", "Usage limit reached"),
         K.QUOTA, B.ACCOUNT, 429, "code 1308, 7d window", pause=300),
    Case("weekly limit", GLM, 429, zhipu("1310", f"{_WEEK}2026-11-24 20:00:00"),
         K.QUOTA, B.ACCOUNT, 429, "code 1310, 7d window", pause=4 * DAY),
    Case("monthly limit", GLM, 429, zhipu("1310", f"{_WEEK}2026-12-15 20:00:00"),
         K.QUOTA, B.ACCOUNT, 429, "code 1310, 7d window", pause=8 * DAY),
    Case("weekly limit, in the Messages format", GLM, 429,
         claude("rate_limit_error", f"[1310][{_WEEK}2026-11-24 20:00:00]"),
         K.QUOTA, B.ACCOUNT, 429, "code 1310, 7d window", dialect=MESSAGES, pause=4 * DAY),
    Case("a day's calls, until midnight in Beijing", GLM, 429, zhipu("1304"),
         K.QUOTA, B.ACCOUNT, 429, "code 1304, day window", pause=4 * HOUR),
    Case("too many at once", GLM, 429, zhipu("1302"), K.RATE_LIMIT, B.ACCOUNT_MODEL, 429,
         "code 1302"),
    Case("too often", GLM, 429, zhipu("1303"), K.RATE_LIMIT, B.ACCOUNT_MODEL, 429,
         "code 1303", {"Retry-After": "3"}, wait=3),
    Case("fair use", GLM, 429, zhipu("1313"), K.RATE_LIMIT, B.ACCOUNT, 429, "code 1313", wait=600),
    Case("no balance, told as a limit", GLM, 429, zhipu("1113"), K.BILLING, B.ACCOUNT, 402,
         "code 1113"),
    Case("plan expired", GLM, 429, zhipu("1309"), K.BILLING, B.ACCOUNT, 402, "code 1309"),
    Case("plan without the model", GLM, 429, zhipu("1311"), K.PERMISSION, B.ACCOUNT_MODEL, 502,
         "code 1311"),
    Case("wrong key", GLM, 401, zhipu("1002"), K.UPSTREAM_AUTH, B.ACCOUNT, 502, "code 1002"),
    Case("account inactive", GLM, 429, zhipu("1110"), K.PERMISSION, B.ACCOUNT, 502, "code 1110",
         operator=True),
    Case("locked for a violation", GLM, 429, zhipu("1121"), K.PERMISSION, B.ACCOUNT, 502,
         "code 1121", operator=True),
    Case("not accessible for a while", GLM, 429, zhipu("1120"), K.PERMISSION, B.ACCOUNT, 502,
         "code 1120"),
    Case("no permission, by the status", GLM, 434, b"{}", K.PERMISSION, B.ACCOUNT_MODEL, 502,
         "status 434"),
    Case("no such model", GLM, 400, zhipu("1211"), K.MODEL_NOT_FOUND, B.ACCOUNT_MODEL, 404,
         "code 1211"),
    Case("bad parameter", GLM, 400, zhipu("1214"), K.INVALID_REQUEST, B.REQUEST, 400, "code 1214",
         stays=True),
    Case("too long", GLM, 400, zhipu("1261"), K.CONTEXT_LENGTH, B.REQUEST, 400, "code 1261",
         stays=True),
    Case("the platform is limited, in a 200", GLM, 200, zhipu("1305"), K.OVERLOADED, B.PROVIDER,
         503, "code 1305"),
    Case("the model is overloaded", GLM, 429, zhipu("1312"), K.OVERLOADED, B.ACCOUNT_MODEL, 503,
         "code 1312"),
    Case("internal", GLM, 500, zhipu("1234"), K.UPSTREAM, B.ACCOUNT_MODEL, 502, "code 1234"),
)  # fmt: skip
