"""What the target of a probe tells of the caller: address and country, as it saw them.

What it answers is a stranger's word. It is read up to a limit, and nothing of it is kept but an
IP address in its usual form and two letters.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from models.json_types import Json

LIMIT_BYTES: Final = 16_384

# httpbin says `origin`, ip-api `query`; the rest is common.
_ADDRESSES: Final = ("ip", "origin", "query", "address", "ip_address", "ipAddress")
_COUNTRIES: Final = ("country_code", "countryCode", "country_iso", "country", "cc", "loc")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_MAX_ADDRESS_CHARS: Final = 128


@dataclass(frozen=True, slots=True)
class ExitFacts:
    """Where a proxy leads to the world."""

    address: str | None = None
    country: str | None = None
    """Two capital letters."""


NO_EXIT: Final = ExitFacts()


def read_exit(body: bytes) -> ExitFacts:
    """Read JSON (`ip`, `country`), lines (`ip=`, `loc=`) or a bare address."""
    if len(body) > LIMIT_BYTES:
        return NO_EXIT
    facts = _json(body)
    if facts is None:
        text = body.decode("utf-8", "replace")
        facts = _lines(text) or {"ip": text.strip()}
    return ExitFacts(_first(facts, _ADDRESSES, _address), _first(facts, _COUNTRIES, _country))


def _json(body: bytes) -> Mapping[str, Json] | None:
    try:
        payload: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return payload if isinstance(payload, dict) else None


def _lines(text: str) -> dict[str, str]:
    """Read `name=value` lines, as `/cdn-cgi/trace` answers."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _first(
    facts: Mapping[str, object], names: Iterable[str], read: Callable[[str], str | None]
) -> str | None:
    values = (facts.get(name) for name in names)
    readings = (read(value) for value in values if isinstance(value, str))
    return next((reading for reading in readings if reading is not None), None)


def _address(text: str) -> str | None:
    # httpbin: every address on the way, the last one being who connected to it.
    last = text[:_MAX_ADDRESS_CHARS].rpartition(",")[2].strip()
    try:
        return None if "%" in last else str(ipaddress.ip_address(last))
    except ValueError:
        return None


def _country(text: str) -> str | None:
    return text.upper() if _COUNTRY.fullmatch(text) else None
