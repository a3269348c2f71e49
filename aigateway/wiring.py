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
from services.authenticator import Authenticator
from services.background import Background, open_background
from services.catalog import Catalog
from services.conversations import Conversations
from services.executor import Executor
from services.gateway import Gateway
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
    gateway: Gateway

    def model_endpoints(self) -> list[Endpoint]:
        """The routes that clients of models call."""
        settings = self.ground.settings
        inference = Inference(
            self.executor,
            self.ground.recorder.record,
            DIALECTS,
            self.ground.clock,
            max_body_bytes=settings.server.max_body_bytes,
            strict=settings.translation.strict,
            memories=dict.fromkeys(_REMEMBERED, Conversations(self.stored_responses)),
        )
        return [
            *inference.endpoints(),
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
        gateway = make_gateway(ground, parts, oauth, affinity)
        follow_changes(ground, parts, gateway, catalog, background)
        post_events(ground, gateway, background, owner)
        schedule = await enter(
            open_schedule(ground.repositories.jobs, background, ground.clock, owner=owner)
        )
        add_jobs(ground, parts, gateway, catalog, schedule)
        yield House(
            ground,
            parts,
            background,
            make_executor(ground, parts, affinity),
            catalog,
            make_authenticator(ground),
            make_stored_responses(ground),
            gateway,
        )
