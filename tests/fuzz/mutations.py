"""Bends JSON and bytes by chance. The same seed bends the same way."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from models.json_types import Json

Place: TypeAlias = tuple[list[Json] | dict[str, Json], int | str]
"""A container and the index or key of one value in it."""

_ODD: Final[Sequence[Json]] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    2**31,
    2**63,
    -(2**64),
    10**40,
    "",
    " ",
    "\u2028",
    "é" * 70,
    "\ud83d",
    "\ude00x",
    "data:image/png;base64,%%%",
    "data:,",
    "{",
    "null",
    "[1]",
    "call_1",
    "assistant",
    "none",
    "-_-_",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"type": "text"},
    {"type": None},
    {"": {}},
    {"error": {}},
    {"error": None, "usage": []},
)


def bent(value: Json, chance: random.Random, donors: Sequence[Json] = ()) -> Json:
    """Return a copy of `value` with up to four things wrong; pieces of `donors` turn up in it."""
    holder: list[Json] = [_copy(value)]
    for _ in range(chance.randint(1, 4)):
        places = list(_places(holder))
        chance.choice(_WAYS)(chance.choice(places), chance, donors)
        if not holder:
            holder.append(None)
    return holder[0]


def bent_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return `data` cut, doubled, crossed out or with foreign bytes in it."""
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 2, 9, 200)))
    match chance.randint(0, 6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:end] + data[at:]
        case 3:
            noise = (b"\xff", b"\r", b"\n\n", b"\x00", b'"', b"data: {", b"[DONE]", b"\xf0\x9f")
            return data[:at] + chance.choice(noise) + data[at:]
        case 4:
            return data[:at] + chance.randbytes(end - at) + data[end:]
        case 5:
            return data.replace(b"\n", b"\r\n")
        case _:
            return data


def split(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield the data as it may arrive."""
    at = 0
    while at < len(data):
        end = at + chance.choice((1, 7, 100, 4096))
        yield data[at:end]
        at = end


# --- ways to bend -----------------------------------------------------------------------------

Way: TypeAlias = Callable[[Place, random.Random, Sequence[Json]], None]


def _put_odd(place: Place, chance: random.Random, _: Sequence[Json]) -> None:
    _put(place, chance.choice(_ODD))


def _put_piece(place: Place, chance: random.Random, donors: Sequence[Json]) -> None:
    """Put what belongs elsewhere."""
    if donors:
        _put(place, _get(chance.choice(list(_places([chance.choice(donors)])))))


def _remove(place: Place, _: random.Random, __: Sequence[Json]) -> None:
    holder, key = place
    if isinstance(holder, list):
        assert isinstance(key, int)
        holder.pop(key)
    else:
        assert isinstance(key, str)
        holder.pop(key)


def _wrap(place: Place, chance: random.Random, _: Sequence[Json]) -> None:
    value = _get(place)
    _put(place, [value] if chance.random() < 0.5 else {"type": "text", "text": value})


def _repeat(place: Place, chance: random.Random, _: Sequence[Json]) -> None:
    holder, key = place
    if isinstance(holder, list) and isinstance(key, int):
        holder[key:key] = [_copy(holder[key])] * chance.choice((1, 2, 40))


def _rename(place: Place, chance: random.Random, donors: Sequence[Json]) -> None:
    """Give a value the name that another one has."""
    holder, key = place
    names = [name for donor in donors for _, name in _places([donor]) if isinstance(name, str)]
    if isinstance(holder, dict) and isinstance(key, str) and names:
        holder[chance.choice(names)] = holder.pop(key)


def _deepen(place: Place, chance: random.Random, _: Sequence[Json]) -> None:
    value = _get(place)
    for _step in range(chance.choice((3, 30, 100))):
        value = {"properties": {"a": value}} if chance.random() < 0.5 else [value]
    _put(place, value)


_WAYS: Final[Sequence[Way]] = (
    _put_odd,
    _put_odd,
    _put_odd,
    _put_piece,
    _put_piece,
    _remove,
    _remove,
    _wrap,
    _repeat,
    _rename,
    _deepen,
)


def _places(value: Json) -> Iterator[Place]:
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, list):
            for index, child in enumerate(holder):
                yield holder, index
                waiting.append(child)
        elif isinstance(holder, dict):
            for key, child in holder.items():
                yield holder, key
                waiting.append(child)


def _get(place: Place) -> Json:
    holder, key = place
    if isinstance(holder, list):
        assert isinstance(key, int)
        return holder[key]
    assert isinstance(key, str)
    return holder[key]


def _put(place: Place, value: Json) -> None:
    holder, key = place
    if isinstance(holder, list):
        assert isinstance(key, int)
        holder[key] = _copy(value)
    else:
        assert isinstance(key, str)
        holder[key] = _copy(value)


def _copy(value: Json) -> Json:
    if isinstance(value, list):
        return [_copy(child) for child in value]
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return value
