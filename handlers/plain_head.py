"""The head of a plain model call: what can be read in one way only.

Whatever is unusual, and whatever decides in more than one way where a request ends or whom it is
for, is not plain, and aiohttp reads it: an unknown path, a body without a length, a header twice,
another character set, another protocol.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects.base import Dialect

END: Final = b"\r\n\r\n"
MAX_BYTES: Final = 8_000
"""Less than the least of aiohttp's own limits, which are for one line of a head."""
START: Final = b"POST "

# Names and values of printable ASCII; whatever else there is may be read in several ways.
_FIELDS: Final = re.compile(rb"(?:[A-Za-z0-9_-]{1,64}:[\x20-\x7e]*\r\n){1,64}")
# As programs write it; behind it comes what differs from call to call.
_LENGTH_FIELDS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MAX_DIGITS: Final = 9
_ZERO: Final = ord("0")
_MOST_KNOWN: Final = 512
_MAX_KNOWN_BYTES: Final = 2_048
# Model calls take nothing from it in most formats, but some clients send one.
_QUERY: Final = re.compile(rb"(?<=[a-z])\?[A-Za-z0-9_.=&-]* (?=HTTP/)")
_NOT_PLAIN: Final = frozenset(
    {"transfer-encoding", "content-encoding", "expect", "upgrade", "http2-settings"}
)


@dataclass(frozen=True, slots=True)
class PlainHead:
    """What a head says, but for the length of its body."""

    dialect: Dialect
    headers: dict[str, str] = field(repr=False)
    """Lower-case names, each of them once; without `content-length`. Calls share it."""


class PlainHeads:
    """Reads heads. A program sends the same one with each call, but for the length of the body: the
    last few hundred that differed are known."""

    def __init__(self, dialects: Mapping[bytes, Dialect]) -> None:
        """`dialects` by request line: `POST /v1/messages HTTP/1.1`."""
        self._dialects = dialects
        self._known: dict[bytes, PlainHead] = {}
        """By the head with nothing for the length."""

    def read(self, data: bytes, end: int) -> tuple[PlainHead, int] | None:
        """Read the head that `data` begins with and that ends at `end`, where its blank line is.

        Return what it says and the bytes of its body; None for one that is not plain.
        """
        # From the end, where it often is; CPython is quicker there, too.
        at = data.rfind(_LENGTH_FIELDS[0], 0, end)
        if at < 0:
            at = data.rfind(_LENGTH_FIELDS[1], 0, end)
        length_at = at + len(_LENGTH_FIELDS[0])
        length_end = data.find(b"\r", length_at)
        length = data[length_at:length_end]
        if at < 0 or not length.isdigit() or len(length) > _MAX_DIGITS:
            return None
        if length[0] == _ZERO and length != b"0":  # some would read it as octal
            return None
        head = data[:length_at] + data[length_end:end]
        known = self._known.get(head) or self._learn(head)
        return None if known is None else (known, int(length))

    def _learn(self, head: bytes) -> PlainHead | None:
        found = _read(head + b"\r\n", self._dialects)
        if found is not None and len(head) <= _MAX_KNOWN_BYTES:
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[head] = found
        return found


def _read(head: bytes, dialects: Mapping[bytes, Dialect]) -> PlainHead | None:
    """Read a head with nothing for the length."""
    fields_at = head.find(b"\r\n") + 2
    line = head[: fields_at - 2]
    dialect = dialects.get(line) or dialects.get(_QUERY.sub(b" ", line, count=1))
    if dialect is None or _FIELDS.fullmatch(head, fields_at) is None:
        return None
    headers: dict[str, str] = {}
    lines = head[fields_at:-2].decode("ascii").split("\r\n")
    for text in lines:
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip(" ")
    is_plain = (
        len(headers) == len(lines)
        and "host" in headers
        and _NOT_PLAIN.isdisjoint(headers)
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
    )
    del headers["content-length"]
    return PlainHead(dialect, headers) if is_plain else None
