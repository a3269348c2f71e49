"""Every route, for those who only describe them: nothing runs behind these."""

from collections.abc import Mapping
from typing import cast

from dialects.base import Dialect
from handlers.catalog import ModelList
from handlers.endpoint import Endpoint
from handlers.inference import Inference
from handlers.routes import all_endpoints
from models.clock import SystemClock
from services.catalog import Catalog
from services.executor import Executor


def listed_endpoints(dialects: Mapping[str, Dialect], version: str) -> list[Endpoint]:
    """Return the routes of the server; those of models must not be called."""
    inference = Inference(
        cast(Executor, None),  # no call ever comes
        lambda record: None,
        dialects,
        SystemClock(),
        max_body_bytes=0,
    )
    models = ModelList(cast(Catalog, None), dialects)
    return all_endpoints([*inference.endpoints(), *models.endpoints()], version)
