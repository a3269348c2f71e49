"""Every promise here holds for both clients, on both event loops."""

import asyncio
from collections.abc import Callable, Mapping
from typing import get_args

import pytest
import uvloop

from services.transport import Client


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=get_args(Client))
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen
