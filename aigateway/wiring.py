"""Assembles the gateway: the order of the lines is the order of start, reversed at stop."""

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aigateway.chores import add_jobs, follow_changes, post_events
from aigateway.ground import Ground, open_ground
from aigateway.operating_parts import (
    make_authenticator,
    make_gateway,
    make_stored_responses,
    open_logins,
)
from aigateway.serving_parts import (
    ServingParts,
    make_affinity,
    make_executor,
    open_serving_parts,
)
from config.settings import Settings
from dialects import DIALECTS
from handlers.catalog import ModelList
from handlers.endpoint import Endpoint
from handlers.inference import Inference
from handlers.stored_responses import StoredResponseRoutes
from models.exchange import RequestRecord
from services.admission import Admission
from services.authenticator import Authenticator
from services.background import Background, open_background
from services.catalog import Catalog
from services.conversations import Conversations
from services.executor import Executor
from services.gateway import Gateway
from services.request_meter import RequestMeter
from services.schedule import open_schedule
from services.stored_responses import StoredResponses

# Dialects whose requests may go on from a stored answer; only those of the first are stored.
_REMEMBERED: Final = ("responses", "responses.count")


@dataclass(frozen=True, slots=True)
class House:
    """Everything that runs, for the server and for tests."""

    ground: Ground
    parts: ServingParts
    background: Background
    executor: Executor
    catalog: Catalog
    authenticator: Authenticator
    stored_responses: StoredResponses
    admission: Admission
    inference: Inference
    gateway: Gateway

    def model_endpoints(self) -> list[Endpoint]:
        """The routes that clients of models call."""
        return [
            *self.inference.endpoints(),
            *StoredResponseRoutes(self.stored_responses).endpoints(),
            *ModelList(self.catalog, DIALECTS).endpoints(),
        ]


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncGenerator[House, None]:
    """Open everything, and close it in the reverse order."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ground = await enter(open_ground(settings))
        parts = await enter(open_serving_parts(ground))
        oauth = await enter(open_logins(ground, parts))
        # Left before what its tasks use: jobs refresh tokens.
        background = await enter(open_background())
        affinity = make_affinity(ground, parts.pool, background)
        catalog = Catalog(
            ground.snapshot,
            parts.calls,
            ground.repositories.providers,
            ground.clock,
            probed=parts.quotas.probed,
        )
        executor, meter = make_executor(ground, parts, affinity), RequestMeter()
        admission = _admission(ground, executor)
        gateway = make_gateway(ground, parts, oauth, affinity, executor, meter, admission)
        await gateway.metrics.begin()
        stack.push_async_callback(gateway.metrics.tell)
        follow_changes(ground, parts, gateway, catalog, background)
        post_events(ground, gateway, background, owner)
        schedule = await enter(
            open_schedule(ground.repositories.jobs, background, ground.clock, owner=owner)
        )
        add_jobs(ground, parts, gateway, catalog, schedule)
        stored_responses = make_stored_responses(ground)
        yield House(
            ground,
            parts,
            background,
            executor,
            catalog,
            make_authenticator(ground),
            stored_responses,
            admission,
            _inference(ground, executor, stored_responses, meter, admission),
            gateway,
        )


def _admission(ground: Ground, executor: Executor) -> Admission:
    server = ground.settings.server
    return Admission(lambda: executor.calls, max_calls=server.max_calls, max_lag_s=server.max_lag_s)


def _inference(
    ground: Ground,
    executor: Executor,
    stored_responses: StoredResponses,
    meter: RequestMeter,
    admission: Admission,
) -> Inference:
    settings = ground.settings

    def record(one: RequestRecord) -> None:
        meter.count(one)
        ground.recorder.record(one)

    return Inference(
        executor,
        record,
        DIALECTS,
        ground.clock,
        max_body_bytes=settings.server.max_body_bytes,
        admits=admission.admits,
        strict=settings.translation.strict,
        memories=dict.fromkeys(_REMEMBERED, Conversations(stored_responses)),
    )
