"""Secrets that are known by sight, planted in every place for one, and looked for afterwards."""

import base64
import json
import logging
import secrets
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

import aiohttp

SLOTS = (
    "admin key",
    "api_key",
    "api_key chat",
    "api_key google",
    "token",
    "token google",
    "access_token",
    "refresh_token",
    "idp family",
    "client_secret",
    "token_params",
    "proxy password",
    "socks password",
    "refused api_key",
    "refused token_url",
    "refused proxy",
)


@dataclass
class Canaries:
    """One secret for each slot. None looks like any vendor's key: no pattern catches them."""

    values: dict[str, str] = field(
        default_factory=lambda: (
            {slot: f"b/{secrets.token_hex(14)}+d=" for slot in SLOTS if slot != "admin key"}
            | {"admin key": "admin" + secrets.token_hex(20)}
        )
    )

    def __getitem__(self, slot: str) -> str:
        return self.values[slot]

    def found_in(self, data: bytes | str) -> list[str]:
        """Return the slots whose secret is in the data, in any usual spelling."""
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        spelled = _spelled(tuple(self.values.items()))
        return sorted({slot for spelling, slot in spelled if spelling in text})


@cache
def _spelled(values: tuple[tuple[str, str], ...]) -> list[tuple[bytes, str]]:
    return [(spelling, slot) for slot, value in values for spelling in spellings(value)]


def spellings(secret: str) -> Iterator[bytes]:
    """Return what of a secret shows in whatever way it is written.

    The middle of it has only letters and digits, which URLs, JSON and SQL leave as they are.
    """
    middle = secret.strip("b/+d=").encode()
    yield middle
    yield middle.hex().encode()
    yield middle.hex().upper().encode()
    yield middle[::-1]
    for shift in range(3):
        # The part of the base64 that does not depend on what stands before and behind.
        encoded = base64.b64encode(bytes(shift) + middle)
        yield encoded[4 : len(encoded) - 4]


# --- everything that is written -----------------------------------------------------------------


class LogWatch(logging.Handler):
    """Keeps all that is logged at any level, before any mask: messages, fields, tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        parts = [record.getMessage(), repr(record.args)]
        standard = logging.LogRecord("", 0, "", 0, "", None, None).__dict__
        parts += [
            f"{name}={value!r}" for name, value in record.__dict__.items() if name not in standard
        ]
        if record.exc_info and record.exc_info[1] is not None:
            parts += traceback.format_exception(record.exc_info[1])
        self.texts.append("\n".join(parts))


@dataclass
class Seen:
    """All that came back to anybody."""

    texts: list[str] = field(default_factory=list)

    async def note(self, response: aiohttp.ClientResponse) -> None:
        body = await response.read()
        headers = json.dumps(dict(response.headers))
        self.texts.append(
            f"{response.method} {response.url} {headers} {body.decode(errors='replace')}"
        )


def leaks(canaries: Canaries, texts: Iterable[str | bytes]) -> list[tuple[list[str], str]]:
    """Return what gives a secret away: which one, and where it stands."""
    return [(slots, str(text[:600])) for text in set(texts) if (slots := canaries.found_in(text))]
