"""What OpenAI says, to keys and to subscriptions, and servers that resemble it."""

from typing import Final

from dialects.openai_chat import CHAT
from dialects.openai_responses import RESPONSES
from models.errors import Blame, ErrorKind
from models.provider import StoredProvider
from providers.compatible import operator_provider
from providers.openai import PROVIDER as GPT
from tests.providers.blame.case import DAY, HOUR, NOW, Case, gpt, packed

OWN: Final = operator_provider(StoredProvider("own", "Own", "chat", "https://models.test/v1"))
LIMIT: Final = gpt("requests", "rate_limit_exceeded", "Rate limit reached for gpt-5.1 on requests.")
OVER: Final = "The usage limit has been reached"


def codex(primary: str, secondary: str) -> dict[str, str]:
    """Return a subscription's headers: how much of its two windows is used."""
    return {
        "X-Codex-Plan-Type": "plus",
        "X-Codex-Primary-Used-Percent": primary,
        "X-Codex-Primary-Window-Minutes": "300",
        "X-Codex-Primary-Reset-At": str(int(NOW + 2 * HOUR)),
        "X-Codex-Secondary-Used-Percent": secondary,
        "X-Codex-Secondary-Window-Minutes": "10080",
        "X-Codex-Secondary-Reset-After-Seconds": str(int(3 * DAY)),
    }


K, B = ErrorKind, Blame

CASES: Final = (
    # --- pace
    Case("pain 14: no hint", GPT, 429, LIMIT, K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "status 429"),
    Case("Retry-After", GPT, 429, LIMIT, K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "retry-after 20 s",
         {"Retry-After": "20"}, wait=20),
    Case("no requests left", GPT, 429, LIMIT, K.RATE_LIMIT, B.ACCOUNT_MODEL, 429,
         "requests used up, resets in 8.6 s",
         {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "0",
          "x-ratelimit-reset-requests": "8.64s", "x-ratelimit-remaining-tokens": "29000",
          "x-ratelimit-reset-tokens": "6m0s"}, wait=8.64),
    Case("pain 13: tokens are left, their reset says nothing", GPT, 429, LIMIT, K.RATE_LIMIT,
         B.ACCOUNT_MODEL, 429, "status 429",
         {"x-ratelimit-remaining-tokens": "29000", "x-ratelimit-reset-tokens": "6m0s"}),
    Case("the wait in words", GPT, 429,
         gpt("tokens", "rate_limit_exceeded", "Rate limit reached for gpt-5.1 in organization "
             "org-x on tokens per min (TPM): Limit 30000. Please try again in 1.2s."),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "told to wait 1.2 s", wait=1.2),
    Case("no requests left today", GPT, 429, LIMIT, K.QUOTA, B.ACCOUNT_MODEL, 429,
         "requests used up, resets in 28800 s",
         {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8h0m0s"},
         pause=8 * HOUR),
    Case("a day's requests never last a week", GPT, 429, LIMIT, K.QUOTA, B.ACCOUNT_MODEL, 429,
         "requests used up, resets in 90000 s",
         {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "168h"},
         pause=25 * HOUR),
    Case("slow down, with 429", GPT, 429, gpt("server_error", "slow_down"), K.RATE_LIMIT,
         B.ACCOUNT_MODEL, 429, "status 429"),
    # --- windows of subscriptions
    Case("pain 10: resets_in_seconds", GPT, 429,
         gpt("usage_limit_reached", None, OVER, plan_type="plus", resets_in_seconds=13872),
         K.QUOTA, B.ACCOUNT, 429, "usage_limit_reached", pause=13872),
    Case("pain 10: resets_at", GPT, 429,
         gpt("usage_limit_reached", None, OVER, resets_at=int(NOW + 5 * HOUR)),
         K.QUOTA, B.ACCOUNT, 429, "usage_limit_reached", pause=5 * HOUR),
    Case("pain 11: 18 days", GPT, 429,
         gpt("usage_limit_reached", None, OVER, resets_in_seconds=18 * DAY),
         K.QUOTA, B.ACCOUNT, 429, "usage_limit_reached", pause=8 * DAY),
    Case("pain 11: 18 days, but it is the 5h window", GPT, 429,
         gpt("usage_limit_reached", None, OVER, resets_in_seconds=18 * DAY),
         K.QUOTA, B.ACCOUNT, 429, "5h window used up", codex("100", "80"), pause=6 * HOUR),
    Case("no reset told: nobody knows", GPT, 429, gpt("usage_limit_reached", None, OVER),
         K.QUOTA, B.ACCOUNT, 429, "usage_limit_reached"),
    Case("the headers alone: 5h", GPT, 429, LIMIT, K.QUOTA, B.ACCOUNT, 429, "5h window used up",
         codex("100", "80"), pause=2 * HOUR),
    Case("the headers alone: both", GPT, 429, LIMIT, K.QUOTA, B.ACCOUNT, 429,
         "5h and 7d window used up", codex("100", "100.4"), pause=3 * DAY),
    Case("pain 13: a burst inside open windows", GPT, 429, LIMIT, K.RATE_LIMIT, B.ACCOUNT_MODEL,
         429, "status 429", codex("12", "80")),
    Case("pain 21: told by an event, with its headers", GPT, 200,
         packed({"type": "error", "status_code": 429, "headers": dict(codex("100", "80")),
                 "error": {"type": "usage_limit_reached", "message": OVER}}),
         K.QUOTA, B.ACCOUNT, 429, "5h window used up", dialect=RESPONSES, pause=2 * HOUR),
    Case("pain 21: response.failed", GPT, 200,
         packed({"type": "response.failed", "response": {
             "id": "resp_1", "status": "failed", "error": {
                 "code": "rate_limit_exceeded", "message": "Please try again in 11.054s."}}}),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "told to wait 11.1 s", dialect=RESPONSES, wait=11.054),
    # --- money and plans
    Case("no credit", GPT, 429, gpt("insufficient_quota", "insufficient_quota",
         "You exceeded your current quota, please check your plan and billing details."),
         K.BILLING, B.ACCOUNT, 402, "insufficient_quota"),
    Case("no credit, by the type alone", GPT, 429, gpt("insufficient_quota"), K.BILLING, B.ACCOUNT,
         402, "insufficient_quota"),
    Case("hard limit", GPT, 429, gpt("x", "billing_hard_limit_reached"), K.BILLING, B.ACCOUNT, 402,
         "billing_hard_limit_reached"),
    Case("the plan has no such thing", GPT, 429, gpt("usage_not_included", None, "Upgrade."),
         K.BILLING, B.ACCOUNT_MODEL, 402, "usage_not_included", stays=True),
    # --- accounts
    Case("wrong key", GPT, 401, gpt("invalid_request_error", "invalid_api_key"),
         K.UPSTREAM_AUTH, B.ACCOUNT, 502, "status 401"),
    Case("account deactivated", GPT, 401, gpt("invalid_request_error", "account_deactivated"),
         K.PERMISSION, B.ACCOUNT, 502, "account_deactivated", operator=True),
    Case("workspace deactivated", GPT, 402, packed({"detail": {"code": "deactivated_workspace"}}),
         K.PERMISSION, B.ACCOUNT, 502, "deactivated_workspace", operator=True),
    Case("no access from this country", GPT, 403,
         gpt("request_forbidden", "unsupported_country_region_territory"),
         K.PERMISSION, B.ACCOUNT, 502, "unsupported_country_region_territory"),
    Case("organisation must be verified for a model", GPT, 403,
         gpt("invalid_request_error", None, "Your organization must be verified to use the model."),
         K.PERMISSION, B.ACCOUNT_MODEL, 502, "status 403"),
    Case("no access to a model", GPT, 403,
         gpt("invalid_request_error", "model_not_found", "Project does not have access to `o9`."),
         K.MODEL_NOT_FOUND, B.ACCOUNT_MODEL, 404, "status 403"),
    Case("no such model", GPT, 404,
         gpt("invalid_request_error", "model_not_found", "The model `o9` does not exist"),
         K.MODEL_NOT_FOUND, B.ACCOUNT_MODEL, 404, "status 404"),
    Case("pain 16: an unknown path of an own server", OWN, 404, packed({"detail": "Not Found"}),
         K.NOT_FOUND, B.REQUEST, 404, "status 404"),
    Case("an own server without the model", OWN, 404,
         packed({"error": "model 'llama9' not found, try pulling it first"}),
         K.MODEL_NOT_FOUND, B.ACCOUNT_MODEL, 404, "status 404"),
    # --- requests
    Case("bad parameter", GPT, 400, gpt("invalid_request_error", "unsupported_parameter"),
         K.UNSUPPORTED, B.REQUEST, 400, "status 400", stays=True),
    Case("too long", GPT, 400, gpt("invalid_request_error", "context_length_exceeded"),
         K.CONTEXT_LENGTH, B.REQUEST, 400, "status 400", stays=True),
    Case("schema", OWN, 422, packed({"detail": [{"loc": ["body"], "msg": "field required"}]}),
         K.INVALID_REQUEST, B.REQUEST, 422, "status 422", stays=True),
    Case("the account is named by the client only", GPT, 400,
         gpt("invalid_request_error", None,
             "Invalid value 'x' this organization has been disabled 'y'"),
         K.INVALID_REQUEST, B.REQUEST, 400, "status 400", stays=True),
    # --- the provider
    Case("overloaded", GPT, 503, gpt("service_unavailable_error", "server_is_overloaded"),
         K.OVERLOADED, B.ACCOUNT_MODEL, 503, "status 503, retry-after 30 s",
         {"Retry-After": "30"}, wait=30),
    Case("slow down, with 503", GPT, 503, gpt("server_error", "slow_down"), K.OVERLOADED,
         B.ACCOUNT_MODEL, 503, "status 503"),
    Case("model at capacity", GPT, 400,
         gpt(None, None, "Selected model is at capacity. Please try a different model."),
         K.OVERLOADED, B.ACCOUNT_MODEL, 503, "status 400"),
    Case("500", GPT, 500, gpt("server_error"), K.UPSTREAM, B.ACCOUNT_MODEL, 502, "status 500"),
    Case("a gateway's 502 inside a stream", OWN, 200,
         packed({"error": {"code": 502, "message": "Provider disconnected"}}),
         K.UPSTREAM, B.ACCOUNT_MODEL, 502, "status 502", dialect=CHAT),
    Case("a gateway's 429 inside a stream", OWN, 200,
         packed({"error": {"code": 429, "message": "Rate limited upstream"}}),
         K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "status 429", dialect=CHAT),
)  # fmt: skip
