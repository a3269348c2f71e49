"""What a person pastes after a login: an address, `code#state`, `code=...&state=...`, a code."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote

_MAX_CHARACTERS: Final = 16_384
_PAIRS: Final = re.compile(r"(^|[?&#])(code|error)=")
_CODE: Final = re.compile(r"[ -~]{1,8192}")
_KNOWN_ERRORS: Final = frozenset(
    {
        "access_denied",
        "consent_required",
        "interaction_required",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)


@dataclass(frozen=True, slots=True)
class Redirected:
    """What came back from the authorization endpoint: a code, or an error."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    issuer: str | None = None
    error: str | None = None
    """A word of RFC 6749 section 4.1.2.1 or of OpenID Connect; `refused` for any other."""


def read_pasted(text: str) -> Redirected | None:
    """Return what the text holds; None for what holds neither code nor error.

    Percent signs are decoded once. Source: the forms that vendors' login pages show.
    """
    text = text.strip()
    if not text or len(text) > _MAX_CHARACTERS:
        return None
    if "://" in text or _PAIRS.search(text):
        address, _, fragment = text.partition("#")
        before, mark, query = address.partition("?")
        return _from_address(query if mark else before, fragment)
    code, mark, state = text.partition("#")
    return _checked({"code": unquote(code), "state": unquote(state) if mark else ""})


def read_query(query: str) -> Redirected | None:
    """Return what the query of a callback holds; None for neither code nor error."""
    return _from_address(query[:_MAX_CHARACTERS], "")


def _from_address(query: str, fragment: str) -> Redirected | None:
    found = {**_pairs(fragment), **_pairs(query)}
    if fragment and "=" not in fragment:
        found.setdefault("state", unquote(fragment))  # `?code=...#state`, as some pages show it
    return _checked(found)


def _pairs(query: str) -> dict[str, str]:
    """Return the parameters; one that comes twice with different values is none."""
    try:
        values = parse_qs(query, max_num_fields=50)
    except ValueError:
        return {}
    return {name: texts[0] for name, texts in values.items() if len(set(texts)) == 1}


def _checked(found: dict[str, str]) -> Redirected | None:
    state, issuer = found.get("state") or None, found.get("iss") or None
    if error := found.get("error"):
        return Redirected(
            state=state, issuer=issuer, error=error if error in _KNOWN_ERRORS else "refused"
        )
    code = found.get("code", "")
    if _CODE.fullmatch(code) is None or not code.strip():
        return None
    return Redirected(code, state, issuer)
