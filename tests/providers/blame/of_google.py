"""What Google says, of the Gemini API and of Code Assist."""

from typing import Final

from models.errors import Blame, ErrorKind
from providers.antigravity import PROVIDER as ASSIST
from providers.gemini import PROVIDER as GEMINI
from tests.providers.blame.case import DAY, HOUR, MINUTE, Case, stamp
from tests.providers.google_errors import body, info, quota, retry

_PER_DAY: Final = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
_PER_MINUTE: Final = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
_TOKENS: Final = "GenerateContentInputTokensPerModelPerMinute-FreeTier"
_OUT: Final = "RESOURCE_EXHAUSTED"
_OVER: Final = "You exceeded your current quota, please check your plan and billing details."
K, B = ErrorKind, Blame
_MIDNIGHT: Final = 20 * HOUR

CASES: Final = (
    # --- pace
    Case("a minute's requests", GEMINI, 429,
         body(429, _OUT, _OVER, quota(_PER_MINUTE), retry("34.07s")),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "RetryInfo 34.1 s", wait=34.07),
    Case("a minute's tokens, no delay", GEMINI, 429, body(429, _OUT, _OVER, quota(_TOKENS)),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "quota per minute", wait=MINUTE),
    Case("a minute's requests never last an hour", GEMINI, 429,
         body(429, _OUT, _OVER, quota(_PER_MINUTE), retry("3600s")),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "RetryInfo 3600 s", wait=2 * MINUTE),
    Case("a minute's requests of the whole project", GEMINI, 429,
         body(429, _OUT, _OVER, quota("GenerateContentRequestsPerMinutePerProject"), retry("9s")),
         K.RATE_LIMIT, B.ACCOUNT, 429, "RetryInfo 9 s", wait=9),
    Case("the delay in words", GEMINI, 429, body(429, _OUT, "Please retry in 20.5s."),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "told to wait 20.5 s", wait=20.5),
    Case("pain 14: no hint", GEMINI, 429, body(429, _OUT, "Resource has been exhausted."),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "status 429"),
    Case("pain 21: a limit inside a stream", GEMINI, 200, body(429, _OUT, "m", retry("7s")),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "RetryInfo 7 s", wait=7),
    # --- quotas
    Case("a day's requests, until midnight in California", GEMINI, 429,
         body(429, _OUT, _OVER, quota(_PER_DAY), retry("20s")),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "quota per day", pause=_MIDNIGHT),
    Case("a day's requests of the whole project", GEMINI, 429,
         body(429, _OUT, _OVER, quota("GenerateRequestsPerDayPerProject")),
         K.QUOTA, B.ACCOUNT, 429, "quota per day", pause=_MIDNIGHT),
    Case("the plan has no such model", GEMINI, 429,
         body(429, _OUT, f"{_OVER} Quota exceeded for metric x, limit: 0", quota(_PER_DAY)),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "limit: 0", pause=_MIDNIGHT, stays=True),
    Case("a delay too long to be a pace", GEMINI, 429, body(429, _OUT, "m", retry("1800s")),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "RetryInfo 1800 s", pause=1800),
    Case("pain 12: Claude's quota is that of all guests", ASSIST, 429,
         body(429, _OUT, "m", info("QUOTA_EXHAUSTED", model="claude-sonnet-4-6",
                                   quotaResetDelay="2h14m3.5s")),
         K.QUOTA, B.FAMILY, 429, "quotaResetDelay 8043.5 s", pause=8043.5, family="guests"),
    Case("pain 12: Gemini Pro's quota is one for high and low", ASSIST, 429,
         body(429, _OUT, "m", info("QUOTA_EXHAUSTED", model="gemini-3.1-pro-high",
                                   quotaResetTimeStamp=stamp(3 * DAY))),
         K.QUOTA, B.FAMILY, 429, "quotaResetTimeStamp in 259200 s", pause=3 * DAY,
         family="gemini-pro"),
    Case("which model is not told", ASSIST, 429, body(429, _OUT, "m", info("QUOTA_EXHAUSTED")),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "QUOTA_EXHAUSTED"),
    Case("the reset in words", ASSIST, 429,
         body(429, _OUT, "Your quota will reset after 1h2m3s."),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "told to wait 3723 s", pause=3723),
    Case("pain 11: 18 days", ASSIST, 429,
         body(429, _OUT, "m", info("QUOTA_EXHAUSTED", quotaResetDelay="432h")),
         K.QUOTA, B.ACCOUNT_MODEL, 429, "quotaResetDelay 691200 s", pause=8 * DAY),
    Case("a short limit of Code Assist", ASSIST, 429,
         body(429, _OUT, "m", info("RATE_LIMIT_EXCEEDED", model="gemini-3-flash"), retry("2s")),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "RetryInfo 2 s", wait=2),
    # --- money
    Case("credits are asked for, there are none", ASSIST, 429,
         body(429, _OUT, "m", info("INSUFFICIENT_G1_CREDITS_BALANCE")),
         K.BILLING, B.ACCOUNT_MODEL, 402, "INSUFFICIENT_G1_CREDITS_BALANCE", stays=True),
    Case("billing is off", GEMINI, 403, body(403, "PERMISSION_DENIED", "m",
         info("BILLING_DISABLED")), K.BILLING, B.ACCOUNT, 402, "BILLING_DISABLED"),
    # --- accounts
    Case("wrong key, told as a bad request", GEMINI, 400,
         body(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")),
         K.UPSTREAM_AUTH, B.ACCOUNT, 502, "API_KEY_INVALID"),
    Case("leaked key", GEMINI, 403,
         body(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
         K.UPSTREAM_AUTH, B.ACCOUNT, 502, "reported as leaked", operator=True),
    Case("old token", ASSIST, 401, body(401, "UNAUTHENTICATED"), K.UPSTREAM_AUTH, B.ACCOUNT, 502,
         "status 401"),
    Case("to be verified in a browser", ASSIST, 403,
         body(403, "PERMISSION_DENIED", "m", info("VALIDATION_REQUIRED")),
         K.PERMISSION, B.ACCOUNT, 502, "VALIDATION_REQUIRED", operator=True),
    Case("suspended", GEMINI, 403, body(403, "PERMISSION_DENIED", "m", info("CONSUMER_SUSPENDED")),
         K.PERMISSION, B.ACCOUNT, 502, "CONSUMER_SUSPENDED", operator=True),
    Case("switched off for a violation", ASSIST, 403,
         body(403, "PERMISSION_DENIED", "Gemini Code Assist has been disabled in this account for "
              "violation of Terms of Service."),
         K.PERMISSION, B.ACCOUNT, 502, "disabled in this account", operator=True),
    Case("the API is not enabled", GEMINI, 403,
         body(403, "PERMISSION_DENIED", "m", info("SERVICE_DISABLED")),
         K.PERMISSION, B.ACCOUNT, 502, "SERVICE_DISABLED"),
    Case("wrong country", GEMINI, 400,
         body(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
         K.PERMISSION, B.ACCOUNT, 502, "user location is not supported"),
    Case("forbidden, for whatever reason", GEMINI, 403, body(403, "PERMISSION_DENIED"),
         K.PERMISSION, B.ACCOUNT_MODEL, 502, "status 403"),
    Case("no such model", GEMINI, 404, body(404, "NOT_FOUND", "models/x is not found"),
         K.MODEL_NOT_FOUND, B.ACCOUNT_MODEL, 404, "status 404"),
    # --- requests
    Case("a cache of another account", GEMINI, 403,
         body(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"),
         K.NOT_FOUND, B.REQUEST, 404, "cachedcontent not found"),
    Case("a file of another account", GEMINI, 404,
         body(404, "NOT_FOUND", "The file files/abc-123 does not exist."),
         K.NOT_FOUND, B.REQUEST, 404, "status 404"),
    Case("bad body", GEMINI, 400, body(400, "INVALID_ARGUMENT", 'Unknown name "x"'),
         K.INVALID_REQUEST, B.REQUEST, 400, "status 400", stays=True),
    Case("too long", GEMINI, 400, body(400, "INVALID_ARGUMENT",
         "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
         K.CONTEXT_LENGTH, B.REQUEST, 400, "status 400", stays=True),
    # --- the provider
    Case("overloaded", GEMINI, 503, body(503, "UNAVAILABLE", "The model is overloaded."),
         K.OVERLOADED, B.ACCOUNT_MODEL, 503, "status 503"),
    Case("no machines left, told as a limit", ASSIST, 429,
         body(429, _OUT, "m", info("MODEL_CAPACITY_EXHAUSTED")),
         K.OVERLOADED, B.ACCOUNT_MODEL, 503, "MODEL_CAPACITY_EXHAUSTED"),
    Case("500", GEMINI, 500, body(500, "INTERNAL"), K.UPSTREAM, B.ACCOUNT_MODEL, 502,
         "status 500"),
    Case("504", GEMINI, 504, body(504, "DEADLINE_EXCEEDED"), K.TIMEOUT, B.ACCOUNT_MODEL, 504,
         "status 504"),
)  # fmt: skip
