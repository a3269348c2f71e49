"""Tells answers of machines on the way from those of a provider's API.

A firewall that dislikes an exit address, a proxy that wants credentials, a hotel's login page: the
account has nothing to do with any of them.
"""

from collections.abc import Mapping
from typing import Final

_PROXY_HEADERS: Final = ("cf-mitigated", "proxy-authenticate", "proxy-status", "x-squid-error")
_CHALLENGES: Final = (
    b"/cdn-cgi/challenge-platform",
    b"cf-chl",
    b"Just a moment...",
    b"captcha",
    # Cloudflare's, in plain text: addresses that are blocked (1006-1020) or limited (1015).
    b"error code: 10",
)
_MARKS_WITHIN: Final = 65_536
# Of a provider's own edge: who reached it was let through, and what fails is behind it.
_EDGE_HEADERS: Final = (
    "alt-svc",
    "cf-ray",
    "request-id",
    "x-amz-cf-id",
    "x-cloud-trace-context",
    "x-request-id",
)
# By definition Cloudflare's word about the server behind it, and always a page.
_BEHIND_THE_EDGE: Final = range(520, 528)


def sign_of_the_way(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """Return what shows that a machine on the way spoke, None where the provider may have.

    For answers that hold no error of the provider's API. `headers` have lower-case names.
    """
    if status in (407, 511):
        return str(status)
    for name in _PROXY_HEADERS:
        if name in headers:
            return f"header {name}"
    start = body[:_MARKS_WITHIN]
    is_page = _is_page(headers, start)
    is_text = is_page or not start.lstrip().startswith((b"{", b"["))
    if is_text and any(mark in start for mark in _CHALLENGES):
        return "challenge page"
    if status == 403 and is_text:
        return "html page" if is_page else "403 without a word of the API"
    return "html page" if is_page and _blames_the_way(status, headers) else None


def _blames_the_way(status: int, headers: Mapping[str, str]) -> bool:
    if status == 429:  # an API counts accounts, and says so in its own words
        return True
    if status < 500 or status in _BEHIND_THE_EDGE:
        return False
    return not any(name in headers for name in _EDGE_HEADERS)


def _is_page(headers: Mapping[str, str], start: bytes) -> bool:
    if "html" in headers.get("content-type", "").lower():
        return True
    opening = start[:512].lstrip().lower()
    return opening.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<center"))
