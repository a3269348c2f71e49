"""The form of addresses that operators give: of providers, token endpoints and proxies.

Only the form: whether an address may be reached is the business of the guard in `services`.
"""

from typing import Annotated, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

WEB_SCHEMES = frozenset({"http", "https"})
PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})

_MAX_LENGTH = 2048
_SOCKS_FIELD = 255
"""Longest user name or password of SOCKS5 (RFC 1929)."""


def _split(url: str, schemes: frozenset[str]) -> SplitResult:
    if not all("!" <= char <= "~" for char in url) or "\\" in url:
        raise ValueError("must consist of visible ASCII characters, without spaces or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("is not a valid address") from error
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with one of {', '.join(sorted(schemes))} and ://")
    if not parts.hostname or "%" in parts.hostname:
        raise ValueError("must name a host")
    if port == 0:
        raise ValueError("must not name port 0")
    return parts


def _web_address(url: str) -> str:
    parts = _split(url, WEB_SCHEMES)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or a password")
    if parts.fragment or url.endswith("#"):
        raise ValueError("must not contain a fragment")
    return url


def _base_address(url: str) -> str:
    _web_address(url)
    if "?" in url:
        raise ValueError("must not contain a query")
    return url.rstrip("/")


def proxy_address(url: str) -> str:
    """Return a proxy's address in the one form in which it is kept.

    Raises ValueError, which repeats nothing of the address.
    """
    parts = _split(url, PROXY_SCHEMES)
    if parts.port is None:
        raise ValueError("must name the port")
    if parts.path not in {"", "/"} or "?" in url or "#" in url:
        raise ValueError("must end after the port")
    for name, value in (("user name", parts.username), ("password", parts.password)):
        if value is not None:
            _check_userinfo(name, value)
    userinfo, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{userinfo}{at}{host.lower()}"


def _proxy_address(secret: SecretStr) -> SecretStr:
    return SecretStr(proxy_address(secret.get_secret_value()))


def _check_userinfo(name: str, value: str) -> None:
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError(f"the {name} must be UTF-8") from error
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError(f"the {name} must not contain control characters")
    if len(text.encode()) > _SOCKS_FIELD:
        raise ValueError(f"the {name} must not be longer than {_SOCKS_FIELD} bytes")


WebUrl: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_MAX_LENGTH),
    AfterValidator(_web_address),
    Field(json_schema_extra={"format": "uri"}, examples=["https://auth.example.com/oauth/token"]),
]
BaseUrl: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_MAX_LENGTH),
    AfterValidator(_base_address),
    Field(json_schema_extra={"format": "uri"}, examples=["https://api.example.com/v1"]),
]
ProxyUrl: TypeAlias = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=_MAX_LENGTH,
        json_schema_extra={"format": "uri"},
        examples=["socks5h://user:password@proxy.example.com:1080"],
    ),
    AfterValidator(_proxy_address),
]
