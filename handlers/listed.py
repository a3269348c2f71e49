"""Every route, for those who only describe them: nothing runs behind these."""

from collections.abc import Mapping
from typing import cast

from dialects.base import Dialect
from handlers.catalog import ModelList
from handlers.endpoint import Endpoint
from handlers.inference import Inference
from handlers.routes import all_endpoints
from handlers.stored_responses import StoredResponseRoutes
from models.clock import SystemClock
from services.catalog import Catalog
from services.executor import Executor
from services.stored_responses import StoredResponses


def listed_endpoints(dialects: Mapping[str, Dialect], version: str) -> list[Endpoint]:
    """Return the routes of the server; those of models must not be called."""
    inference = Inference(
        cast(Executor, None),  # no call ever comes
        lambda record: None,
        dialects,
        SystemClock(),
        max_body_bytes=0,
        admits=lambda: False,
    )
    models = ModelList(cast(Catalog, None), dialects)
    stored = StoredResponseRoutes(cast(StoredResponses, None))
    return all_endpoints(
        [*inference.endpoints(), *stored.endpoints(), *models.endpoints()], version
    )
