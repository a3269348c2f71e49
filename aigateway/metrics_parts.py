"""What is measured in this process, and with whom that is shared."""

import os
from collections.abc import Mapping
from typing import Final

from aigateway import __version__
from aigateway.ground import Ground
from aigateway.serving import worker_number
from aigateway.supervisor import CREW_VARIABLE
from services.admission import Admission
from services.egress_conditions import EgressConditions
from services.executor import Executor
from services.health import Health
from services.metrics import Metrics, Watched
from services.metrics_files import MetricsFiles
from services.pool_gauges import PoolGauges
from services.request_meter import RequestMeter

_FOLDER: Final = "metrics"


def make_metrics(
    ground: Ground,
    executor: Executor,
    meter: RequestMeter,
    admission: Admission,
    conditions: EgressConditions,
    health: Health,
) -> Metrics:
    """Return what answers for this process, and for the other workers where it is one."""
    watched = Watched(
        requests=meter,
        pool=PoolGauges(ground.snapshot, ground.resting.cooldowns, conditions, ground.clock),
        calls=lambda: executor.calls,
        streams=lambda: executor.streams,
        refused=lambda: admission.refused,
        records=ground.recorder.counts,
        components=health.states,
    )
    return Metrics(
        watched,
        ground.clock,
        version=__version__,
        worker=worker_number(os.environ) or 0,
        files=_files(ground, os.environ),
    )


def _files(ground: Ground, environ: Mapping[str, str]) -> MetricsFiles | None:
    worker, crew = worker_number(environ), environ.get(CREW_VARIABLE, "")
    if worker is None or not crew:
        return None
    return MetricsFiles(ground.settings.data_dir / _FOLDER, crew, worker)
