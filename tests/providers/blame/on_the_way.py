"""What machines between us and a provider say, and the provider's own edge."""

from typing import Final

from models.errors import Blame, ErrorKind
from providers.anthropic import PROVIDER as CLAUDE
from providers.antigravity import PROVIDER as ASSIST
from providers.gemini import PROVIDER as GEMINI
from providers.glm import PROVIDER as GLM
from providers.openai import PROVIDER as GPT
from tests.providers.blame.case import Case, gpt

PAGE: Final = b"<!DOCTYPE html><html><head><title>Forbidden</title></head></html>"
GATEWAY: Final = b"<html><head><title>502 Bad Gateway</title></head></html>"
CHALLENGE: Final = b"<html><title>Just a moment...</title><script src=/cdn-cgi/x></script></html>"
HTML: Final = {"Content-Type": "text/html; charset=UTF-8"}
EDGE: Final = HTML | {"CF-Ray": "8f1-FRA", "Server": "cloudflare"}
K, B = ErrorKind, Blame

CASES: Final = (
    Case("pain 16: 403 page", CLAUDE, 403, PAGE, K.EGRESS, B.EGRESS, 502, "html page", HTML),
    Case("pain 16: 403 page of the edge", GPT, 403, PAGE, K.EGRESS, B.EGRESS, 502, "html page",
         EDGE),
    Case("pain 16: 403 page without a type", GLM, 403, PAGE, K.EGRESS, B.EGRESS, 502, "html page"),
    Case("pain 16: 403 in plain text", GPT, 403, b"Forbidden", K.EGRESS, B.EGRESS, 502,
         "403 without a word of the API"),
    Case("pain 16: 403 with nothing", GEMINI, 403, b"", K.EGRESS, B.EGRESS, 502,
         "403 without a word of the API"),
    Case("challenge", CLAUDE, 403, CHALLENGE, K.EGRESS, B.EGRESS, 502, "challenge page", EDGE),
    Case("challenge, with 503", GPT, 503, CHALLENGE, K.EGRESS, B.EGRESS, 502, "challenge page",
         EDGE),
    Case("challenge, by its header", GPT, 429, PAGE, K.EGRESS, B.EGRESS, 502,
         "header cf-mitigated", HTML | {"CF-Mitigated": "challenge"}),
    Case("unusual traffic", GEMINI, 429,
         b"<html>unusual traffic from your network: solve this captcha</html>",
         K.EGRESS, B.EGRESS, 502, "challenge page", HTML),
    Case("too much from this address", GPT, 429, b"error code: 1015", K.EGRESS, B.EGRESS, 502,
         "challenge page", {"Content-Type": "text/plain"}),
    Case("limits of addresses are pages", CLAUDE, 429, PAGE, K.EGRESS, B.EGRESS, 502, "html page",
         HTML),
    Case("407", CLAUDE, 407, b"", K.EGRESS, B.EGRESS, 502, "407", {"Proxy-Authenticate": "Basic"}),
    Case("511, a login page", CLAUDE, 511, PAGE, K.EGRESS, B.EGRESS, 502, "511", HTML),
    Case("squid", GPT, 503, PAGE, K.EGRESS, B.EGRESS, 502, "header x-squid-error",
         HTML | {"X-Squid-Error": "ERR_CONNECT_FAIL 111"}),
    Case("502 page, of whom?", CLAUDE, 502, GATEWAY, K.EGRESS, B.EGRESS, 502, "html page", HTML),
    Case("502 page of the provider's edge", CLAUDE, 502, GATEWAY, K.UPSTREAM, B.ACCOUNT_MODEL, 502,
         "status 502", EDGE),
    Case("503 page of the provider's edge", ASSIST, 503, GATEWAY, K.OVERLOADED, B.ACCOUNT_MODEL,
         503, "status 503", HTML | {"Alt-Svc": 'h3=":443"'}),
    Case("502 with nothing", GPT, 502, b"", K.UPSTREAM, B.ACCOUNT_MODEL, 502, "status 502"),
    Case("502 in plain text", GPT, 502, b"upstream connect error", K.UPSTREAM, B.ACCOUNT_MODEL, 502,
         "status 502"),
    Case("pain 17: 520 is told as what it is", CLAUDE, 520, GATEWAY, K.UPSTREAM, B.ACCOUNT_MODEL,
         502, "status 520", HTML),
    Case("521", GPT, 521, GATEWAY, K.UPSTREAM, B.ACCOUNT_MODEL, 502, "status 521", EDGE),
    Case("523", GPT, 523, GATEWAY, K.UPSTREAM, B.ACCOUNT_MODEL, 502, "status 523", EDGE),
    Case("524 is a timeout", CLAUDE, 524, GATEWAY, K.TIMEOUT, B.ACCOUNT_MODEL, 504, "status 524",
         EDGE),
    Case("529 with nothing", CLAUDE, 529, b"", K.OVERLOADED, B.ACCOUNT_MODEL, 503, "status 529"),
    Case("504 with nothing", GEMINI, 504, b"", K.TIMEOUT, B.ACCOUNT_MODEL, 504, "status 504"),
    Case("408", GPT, 408, b"", K.TIMEOUT, B.ACCOUNT_MODEL, 504, "status 408"),
    Case("429 with nothing", GLM, 429, b"", K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "status 429"),
    Case("401 with nothing", GPT, 401, b"", K.UPSTREAM_AUTH, B.ACCOUNT, 502, "status 401"),
    Case("402 with nothing", GPT, 402, b"", K.BILLING, B.ACCOUNT, 402, "status 402"),
    Case("pain 16: 404 page", GPT, 404, PAGE, K.NOT_FOUND, B.REQUEST, 404, "status 404", HTML),
    Case("413 page", CLAUDE, 413, PAGE, K.TOO_LARGE, B.REQUEST, 413, "status 413", HTML,
         stays=True),
    Case("a proxy's header beside the API's word", GPT, 429,
         gpt("requests", "rate_limit_exceeded"), K.RATE_LIMIT, B.ACCOUNT_MODEL, 429, "status 429",
         {"Proxy-Status": "edge; received-status=429"}),
)  # fmt: skip
