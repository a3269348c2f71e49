"""Runs the server of one process: opens the house, listens, drains, closes."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from aigateway import __version__
from aigateway.demo import demo as pretend
from aigateway.demo import remove_leftovers
from aigateway.wiring import House, open_house
from config.settings import Settings
from dialects import DIALECTS
from handlers.app import build_app
from handlers.calls import Pace
from handlers.connection import TimedRunner
from handlers.keys import GATEWAY
from handlers.listener import ListeningSite
from handlers.plain_connection import PlainLimits
from handlers.plain_head import PlainHeads
from handlers.plain_lane import PlainLane, request_lines
from handlers.routes import all_endpoints

logger = logging.getLogger(__name__)

# Connections that wait to be accepted. What comes on one beyond it is dropped, and its client sends
# it anew after 0.2 to 3 s, however soon we could have refused it. Systems allow less: Linux 4096.
_BACKLOG = 4096
# Time for cut streams to tell their clients so.
_CUT_S = 2.0
# A thread that writes records keeps the interpreter so long before the loop has it back. With
# Python's 5 ms it shows in every hundredth answer, and under full load all wait for it: 188 us of
# processor time for a request and a 99th percentile of 50 ms, instead of 127 us and 32 ms.
_SWITCH_S = 0.0005
# From a second signal to the end, come what may: a frozen database would hold us up for longer.
_HURRY_S = 4.0


async def run_server(
    settings: Settings, *, worker: int | None, reuse_port: bool, demo: bool
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends at once what still runs, and soon us."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    _on_signals(stop, hurry)
    async with serving(settings, reuse_port=reuse_port, demo=demo) as (house, runner):
        host, port = runner.addresses[0][:2]
        logger.info("listening", extra={"host": host, "port": port, "worker": worker})
        _calm_collector()
        sys.setswitchinterval(_SWITCH_S)
        await stop.wait()
        await _drain(house, runner, hurry)


@asynccontextmanager
async def serving(
    settings: Settings, *, reuse_port: bool = False, demo: bool = False
) -> AsyncGenerator[tuple[House, TimedRunner], None]:
    """Yield the house and its running server; at the end the server closes, then the house."""
    async with open_house(settings) as house, AsyncExitStack() as stack:
        if demo:
            await stack.enter_async_context(pretend(house))
        else:
            await remove_leftovers(house)
        runner = TimedRunner(
            make_app(house),
            head_timeout_s=settings.server.header_timeout_s,
            stall_timeout_s=settings.server.stall_timeout_s,
            keepalive_timeout_s=settings.server.keepalive_timeout_s,
            shutdown_timeout_s=_CUT_S,
            lane=_lane(house),
        )
        await runner.setup()
        try:
            site = ListeningSite(
                runner,
                settings.server.host,
                settings.server.port,
                backlog=_BACKLOG,
                reuse_port=reuse_port,
            )
            await site.start()
            house.gateway.health.is_ready = True
            yield house, runner
        finally:
            house.gateway.health.is_ready = False
            await runner.cleanup()


def make_app(house: House) -> web.Application:
    """Return the web application of a house."""
    endpoints = all_endpoints(house.model_endpoints(), __version__)
    app = build_app(endpoints, house.authenticator, DIALECTS, _pace(house))
    app[GATEWAY] = house.gateway
    return app


def _lane(house: House) -> PlainLane:
    """Return the quick way for plain model calls."""
    server = house.ground.settings.server
    limits = PlainLimits(
        server.max_body_bytes,
        _pace(house),
        server.header_timeout_s,
        server.keepalive_timeout_s,
        server.stall_timeout_s,
    )
    heads = PlainHeads(request_lines(DIALECTS))
    return PlainLane(heads, house.inference.serve, house.authenticator, house.admission, limits)


def _pace(house: House) -> Pace:
    server = house.ground.settings.server
    return Pace(server.body_grace_s, server.body_min_bytes_per_s)


async def _drain(house: House, runner: TimedRunner, hurry: asyncio.Event) -> None:
    """Stop in the order that loses nothing: not ready, still accepting, closed, then waiting."""
    server = house.ground.settings.server
    house.gateway.health.is_ready = False
    logger.info("stopping")
    await _within(hurry, server.drain_delay_s)
    for site in list(runner.sites):
        await site.stop()
    runner.end_connections()
    house.gateway.event_feed.hang_up()
    deadline = asyncio.get_running_loop().time() + server.drain_timeout_s
    while house.executor.is_busy and asyncio.get_running_loop().time() < deadline:
        if await _within(hurry, 0.05):
            break
    if house.executor.is_busy:
        logger.warning("requests cut at shutdown")
        house.executor.cut()


async def _within(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _calm_collector() -> None:
    """Leave what the start made out of every collection, and collect the young less often.

    A request makes hardly any cycles; the default threshold of 700 costs it some 15 us. Not even
    now is the start looked through: it takes 50 ms, in which nobody is answered, for 1 MB.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def _give_up() -> None:
    logger.error("not everything ended in time")
    os._exit(1)


def _on_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set() and not hurry.is_set():
            hurry.set()
            loop.call_later(_HURRY_S, _give_up)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
