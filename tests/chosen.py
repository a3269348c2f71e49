"""Which client and which event loop the tests run with, where they leave it open.

AIGATEWAY_TEST_CLIENT (own, aiohttp): what calls providers, in tests and in gateways they start.
AIGATEWAY_TEST_LOOP (uvloop, asyncio): what both run on. Unset, the tests run on asyncio's loop and
the gateways on uvloop.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Final, TypeVar, get_args

import uvloop

from config.settings import EventLoop
from services.transport import Client

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Name = TypeVar("Name", bound=str)

FACTORIES: Final[Mapping[EventLoop, LoopFactory]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def _named(variable: str, known: tuple[Name, ...]) -> Name | None:
    """Return what the variable names; None when it is unset. Raises ValueError."""
    text = os.environ.get(variable)
    if not text:
        return None
    for name in known:
        if text == name:
            return name
    raise ValueError(f"{variable}: {text} is none of {', '.join(known)}")


_CLIENT: Final[Client | None] = _named("AIGATEWAY_TEST_CLIENT", get_args(Client))
LOOP: Final[EventLoop | None] = _named("AIGATEWAY_TEST_LOOP", tuple(FACTORIES))
CLIENT: Final[Client] = _CLIENT or "own"
new_loop: Final[LoopFactory] = FACTORIES[LOOP or "asyncio"]


def settings() -> dict[str, str]:
    """Return the environment that makes a gateway use them; empty when nothing was chosen."""
    wanted = {"AIGATEWAY_UPSTREAM__CLIENT": _CLIENT, "AIGATEWAY_SERVER__EVENT_LOOP": LOOP}
    return {name: text for name, text in wanted.items() if text}
