"""Text made safe to print: secrets masked by their look, control characters escaped.

The second line of defence. The first one is that secrets have types whose `repr` hides them;
this one catches what a library's exception or an upstream's answer carries into a message.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"

_PATTERNS = (
    # Vendor keys by their published prefixes: OpenAI and Anthropic, our own, Stripe-like.
    r"(?<![A-Za-z0-9])(?:sk|rk|pk|ak)[-_][A-Za-z0-9_\-]{8,}",
    # GitHub tokens, classic and fine-grained.
    r"gh[pousr]_[A-Za-z0-9]{8,}|github_pat_[A-Za-z0-9_]{8,}",
    # Google API keys and OAuth access tokens.
    r"AIza[A-Za-z0-9_\-]{16,}|ya29\.[A-Za-z0-9_\-]{8,}",
    # JSON Web Tokens: base64url of `{"`.
    r"eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,4}",
)
_BARE = re.compile("|".join(_PATTERNS))
# What follows these words is a secret whatever it looks like.
_SCHEME = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(access_token|refresh_token|id_token|client_secret|api_?key|password|passwd|admin_key"
    r"|master_key|code_verifier|assertion)"
    # A plain `name: text` is a sentence of ours; `name=text` and `"name": "text"` are data.
    r"(\s{0,4}=\s{0,4}[\\\"']{0,4}|[\\\"']{1,4}\s{0,4}[:=]\s{0,4}[\\\"']{0,4})"
    r"[^\s\"'&,;}\]\\]{4,}",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b(x-api-key|x-goog-api-key|authorization|cookie)"
    r"([\\\"']{0,4}\s{0,4}[:=,]\s{0,4}[\\\"']{0,4})(?!bearer\b|basic\b)[^\s\"',]{8,}",
    re.IGNORECASE,
)
# Greedy and with slashes: passwords that nobody encoded go, too, at the price of a path with `@`.
_USERINFO = re.compile(r"(://)[^\s\"'?#<>]{1,500}@")

# Each pattern above needs one of these; ids and most messages of ours have none.
_SUSPECT = re.compile(r"[-_=:,\"']|eyJ|AIza|ya29|bearer|basic", re.IGNORECASE)

_SECRET_NAMES = frozenset(
    {
        "access",
        "access_token",
        "admin_key",
        "api_key",
        "apikey",
        "auth_data",
        "authorization",
        "client_secret",
        "cookie",
        "credentials",
        "id_token",
        "master_key",
        "passwd",
        "password",
        "proxy-authorization",
        "refresh",
        "refresh_token",
        "secret",
        "set-cookie",
        "token",
        "x-api-key",
    }
)


def redact(text: str) -> str:
    """Return the text with everything that looks like a secret masked."""
    if _SUSPECT.search(text) is None:
        return text
    if "://" in text:
        text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _SCHEME.sub(rf"\1\2{MASK}", text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _NAMED.sub(rf"\1\2{MASK}", text)
    return _BARE.sub(MASK, text)


def is_secret_name(name: str) -> bool:
    """Say whether a field of this name holds a secret, so that its value is never shown."""
    return name.lower() in _SECRET_NAMES


class KnownSecrets:
    """Masks exact values that the process was started with, also in their URL-encoded form."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Shorter ones would mask ordinary words all over the log.
        values = {value for value in secrets if len(value) >= 6}
        spellings = values | {quote(value, safe="") for value in values}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if values else None

    def mask(self, text: str) -> str:
        """Return the text without the known secrets and without what looks like one."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return redact(text)


def mask_url(url: str) -> str:
    """Return the URL with its password masked: `mysql+pymysql://user:***@host/name`.

    Not parsed but matched, so that also a broken URL gives nothing away. A query may hold a
    password, too: its values are masked.
    """
    head, mark, query = url.partition("?")
    head = re.sub(r"(://[^:/@]*):.*@", rf"\1:{MASK}@", head)
    return head + mark + re.sub(r"=[^&]*", f"={MASK}", query)


def one_line(text: str) -> str:
    """Return the text on one line with control characters escaped, fit for a terminal.

    Newlines, ANSI sequences (7 and 8 bit), bidirectional marks and lone surrogates come out
    as `\\n`, `\\x1b`, `\\u202e`. Ordinary text of any script stays.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
