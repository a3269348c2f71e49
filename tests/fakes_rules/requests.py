"""Requests to try the rules with: good ones, and ways to spoil them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.formats.base import Refused, Seen

Payload = dict[str, Any]
Check = Callable[[Seen], None]

GONE = object()
"""Put in the place of a value, it takes the field away."""


def seen(payload: Payload, *, headers: dict[str, str] | None = None) -> Seen:
    model = str(payload.get("model", ""))
    return Seen("/", headers or {}, payload, b"", "key", "peer", {}, model)


def changed(payload: Payload, path: str, value: object) -> Payload:
    """Return a copy with another value at `a.0.b`."""
    copied = copy.deepcopy(payload)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = copied
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return copied


def accepted(check: Check, payload: Payload, model: str | None = None) -> None:
    """Fail when the provider refuses it."""
    check(_of_model(payload, model))


def refused(check: Check, payload: Payload, words: str, model: str | None = None) -> None:
    """Fail unless the provider refuses it with these words."""
    with pytest.raises(Refused) as caught:
        check(_of_model(payload, model))
    assert words in caught.value.message


def _of_model(payload: Payload, model: str | None) -> Seen:
    found = seen(payload)
    if model is None:
        return found
    return Seen("/", {}, payload, b"", "key", "peer", {}, model)
