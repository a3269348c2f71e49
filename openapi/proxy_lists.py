"""Lists of proxies as people have them: one on each line, in any of a handful of forms.

`scheme://user:pass@host:port`, `host:port`, `host:port:user:pass`, `user:pass@host:port` and
`user:pass:host:port`; columns are parted by colons, blanks, tabs or semicolons, and a comment
begins with `#`.
No message repeats anything of a line: it holds a password, and a line that is misread may hold it
anywhere.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from openapi.addresses import proxy_address

MAX_LINES: Final = 10_000
MAX_LINE_CHARS: Final = 2048

_COMMENT = re.compile(r"(^|\s)#.*$")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAME = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?\.?"
)
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]")
# Colons part columns, but not those inside the brackets of an IPv6 address.
_COLUMNS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:])*")
_UNREADABLE: Final = "is none of the forms that are understood, such as host:port:user:password"


@dataclass(frozen=True, slots=True)
class ProxyLine:
    """One line that is not blank and no comment."""

    number: int
    """From 1, as an editor counts."""
    url: str | None
    reason: str | None = None
    """Why there is no address."""


def read_list(text: str, scheme: str) -> list[ProxyLine]:
    """Return what each line says. `scheme` is that of lines which name none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if bare := _COMMENT.sub("", line).strip():
            found.append(_read(number, bare, scheme))
    return found


def count_lines(text: str) -> int:
    """Return how many lines a list has, blank ones included."""
    return len(text.splitlines())


def _read(number: int, line: str, scheme: str) -> ProxyLine:
    try:
        if len(line) > MAX_LINE_CHARS:
            raise ValueError(f"must not be longer than {MAX_LINE_CHARS} characters")
        return ProxyLine(number, proxy_address(_url(line, scheme)))
    except ValueError as error:
        return ProxyLine(number, None, str(error))


def _url(line: str, scheme: str) -> str:
    """Put a line together as an address."""
    if (named := _SCHEME.match(line)) is not None:
        return _of_url(named.group(), line[named.end() :])
    # Blanks cannot be part of a password.
    plain = re.sub(r"\s+", ":", line)
    if "@" in line and not _is_address(_columns(plain)[0]):
        userinfo, _, place = line.rpartition("@")
        if _is_place(_columns(place.rstrip(";"))):
            return _address(scheme, place.rstrip(";"), *userinfo.partition(":")[::2])
    # A semicolon can, so it parts columns only where the line means nothing otherwise.
    for attempt in (plain, re.sub(r"[:;]+", ":", plain).strip(":")):
        if (columns := _sorted(_columns(attempt))) is not None:
            place, *secrets = columns
            return _address(scheme, place, *secrets)
    raise ValueError(_UNREADABLE)


def _of_url(scheme: str, rest: str) -> str:
    """Mend a full address whose user name or password was not escaped."""
    userinfo, at, place = rest.rpartition("@")
    if not at:
        return scheme + rest
    user, colon, password = userinfo.partition(":")
    # What is escaped already stays as it is.
    kept = "".join((quote(user, safe="%"), colon, quote(password, safe="%")))
    return f"{scheme}{kept}@{place}"


def _sorted(columns: Sequence[str]) -> tuple[str, ...] | None:
    """Return host and port as one, then user name and password, wherever they stood.

    Where both ends could be a host and a port, those that look more like it are; otherwise the
    first two, which is the commoner form.
    """
    if len(columns) == 2 and _is_place(columns):
        return (":".join(columns),)
    if len(columns) < 4:
        return None
    first, last = columns[:2], columns[-2:]
    front = (":".join(first), columns[2], ":".join(columns[3:]))
    back = (":".join(last), columns[0], ":".join(columns[1:-2]))
    if _is_place(first) and (_is_surely_host(first[0]) or not _is_place(last)):
        return front
    if _is_place(last) and (_is_surely_host(last[0]) or not _is_place(first)):
        return back
    return front if _is_place(first) else None


def _columns(text: str) -> list[str]:
    found, at = [], 0
    while at <= len(text):
        column = _COLUMNS.match(text, at)
        if column is None:  # it matches nothing at all, too
            break
        found.append(column.group())
        at = column.end() + 1
    return found


def _is_place(columns: Sequence[str]) -> bool:
    if len(columns) != 2:
        return False
    host, port = columns
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535
    return is_port and (_is_address(host) or _is_name(host))


def _is_surely_host(text: str) -> bool:
    """Whether this looks like a host and not like a user name."""
    return _is_address(text) or ("." in text and _is_name(text))


def _is_name(text: str) -> bool:
    # Its end is no number: otherwise it is an address, or half of one.
    return bool(_NAME.fullmatch(text)) and not text.rstrip(".").rpartition(".")[2].isdigit()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text[1:-1] if _IPV6.fullmatch(text) else text)
    except ValueError:
        return False
    return True


def _address(scheme: str, place: str, user: str = "", password: str = "") -> str:
    if not user and not password:
        return f"{scheme}://{place}"
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{place}"
