"""Where a request goes, and its head: addresses are few, so each is parsed once."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST: Final = re.compile(r"[0-9A-Za-z._~%:-]+")
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
# What says where a message goes and ends is ours to say.
_OURS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_DEFAULTS: Final = {"accept": "*/*", "accept-encoding": "gzip, deflate"}
_BODY_DEFAULTS: Final = {"content-type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Target:
    """A method and an address."""

    host: str
    """A name, or an address without brackets."""
    port: int
    is_tls: bool
    origin: str
    """Scheme, host and port: what a connection leads to."""
    authority: str
    """Host and port, as one name."""
    is_head: bool
    line: bytes = field(repr=False)
    """Request line and Host, as the origin wants them."""
    absolute: bytes = field(repr=False)
    """The same for an HTTP proxy."""
    no_body: bytes = field(repr=False)
    """How the head ends where there is no body."""


@lru_cache(maxsize=1024)
def target_of(method: str, url: str) -> Target:
    """Parse an address as it is. Raises ValueError."""
    parts = urlsplit(url)
    name = parts.hostname
    host = name if name is None or name.isascii() else name.encode("idna").decode("ascii")
    if parts.scheme not in _PORTS or not host or not _HOST.fullmatch(host):
        raise ValueError("not an HTTP address")
    if not _TOKEN.fullmatch(method):
        raise ValueError("not a method")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    spelled = f"[{host}]" if ":" in host else host
    named = spelled if port == _PORTS[parts.scheme] else f"{spelled}:{port}"
    path = quote((parts.path or "/") + ("?" + parts.query if parts.query else ""), _PRINTABLE)
    rest = f" HTTP/1.1\r\nHost: {named}\r\n{_authorization(parts.username, parts.password)}"
    return Target(
        host,
        port,
        parts.scheme == "https",
        f"{parts.scheme}://{spelled}:{port}",
        f"{spelled}:{port}",
        method == "HEAD",
        f"{method} {path}{rest}".encode("ascii"),
        f"{method} {parts.scheme}://{named}{path}{rest}".encode("ascii"),
        b"Content-Length: 0\r\n\r\n" if method in _BODIED else b"\r\n",
    )


def basic(username: str, password: str) -> str:
    """Return credentials as a header has them (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _authorization(username: str | None, password: str | None) -> str:
    if username is None:
        return ""
    return f"Authorization: {basic(unquote(username), unquote(password or ''))}\r\n"


def written(line: bytes, headers: Mapping[str, str], target: Target, body: bytes) -> bytes:
    """Return the head of a request that begins with `line`.

    Raises ValueError for what no header may hold.
    """
    added = _added(tuple(headers), bool(body))
    values = "".join(headers.values())  # names are checked with what is added to them
    if "\n" in values or "\r" in values or "\0" in values:
        raise ValueError("a header holds a line break")
    lines = "\r\n".join([*map(": ".join, headers.items()), ""])
    end = b"Content-Length: %d\r\n\r\n" % len(body) if body else target.no_body
    return b"%b%b%b%b" % (line, lines.encode("latin-1"), added, end)


@lru_cache(maxsize=256)
def _added(names: tuple[str, ...], has_body: bool) -> bytes:
    """Return the headers that are sent besides those of these names."""
    given = {name.lower() for name in names}
    if given & _OURS or not all(_TOKEN.fullmatch(name) for name in names):
        raise ValueError("a header that may not be given")
    wanted = {**_DEFAULTS, **_BODY_DEFAULTS} if has_body else _DEFAULTS
    lines = [f"{name}: {value}\r\n" for name, value in wanted.items() if name not in given]
    return "".join(lines).encode("ascii")
