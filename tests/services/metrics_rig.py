"""Workers of a gateway that count calls and tell them, without the gateway."""

from pathlib import Path

from models.exchange import RequestRecord
from models.usage import NO_USAGE, Usage
from services.cooldown import Cooldowns
from services.egress_conditions import EgressConditions
from services.metrics import Metrics, Watched
from services.metrics_files import MetricsFiles
from services.pauses import Pauses
from services.pool_gauges import PoolGauges
from services.recorder import RecorderCounts
from services.request_meter import RequestMeter
from tests.builders import make_snapshot
from tests.fakes.clock import FakeClock
from tests.scraped import Scraped, scraped


def make_record(
    *,
    dialect: str = "chat",
    provider_id: str | None = "openai",
    status: int = 200,
    error_code: str | None = None,
    stream: bool = False,
    attempts: int = 1,
    usage: Usage = NO_USAGE,
    first_byte_ms: float | None = None,
    latency_ms: float = 300.0,
) -> RequestRecord:
    return RequestRecord(
        "r" * 32,
        1_800_000_000.0,
        "key",
        dialect,
        "a-model-of-the-clients-choice",
        stream,
        provider_id=provider_id,
        status=status,
        error_code=error_code,
        attempts=attempts,
        usage=usage,
        first_byte_ms=first_byte_ms,
        latency_ms=latency_ms,
    )


class Worker:
    """One process of a crew, or one that is alone where no folder is given."""

    def __init__(
        self,
        clock: FakeClock,
        folder: Path | None = None,
        *,
        crew: str = "crew",
        number: int = 0,
        calls: int = 0,
    ) -> None:
        snapshot, cooldowns = make_snapshot(), Cooldowns(Pauses(), clock)
        self.meter = RequestMeter()
        self.records = RecorderCounts(queued=0, spooled=0, written=0, dropped=0, refused=0)
        self.is_database_well = True
        self.files = None if folder is None else MetricsFiles(folder, crew, number)
        self.metrics = Metrics(
            Watched(
                self.meter,
                PoolGauges(
                    lambda: snapshot,
                    cooldowns,
                    EgressConditions(cooldowns, lambda: snapshot.proxies, clock),
                    clock,
                ),
                calls=lambda: calls,
                streams=lambda: calls,
                refused=lambda: 4,
                records=lambda: self.records,
                components=lambda: {"database": self.is_database_well},
            ),
            clock,
            version="1.2.3",
            worker=number,
            files=self.files,
        )

    async def serve(self, count: int, **fields: str) -> None:
        """Serve so many calls, and tell the others."""
        for _ in range(count):
            self.meter.count(make_record(**fields))  # type: ignore[arg-type] # names of text fields
        await self.metrics.tell()

    async def told(self) -> Scraped:
        return scraped(await self.metrics.text())

    async def requests(self) -> float:
        """Return how many requests a scrape here tells of."""
        return (await self.told()).of("aigateway_requests_total")


async def begun(
    clock: FakeClock, folder: Path, *, crew: str = "crew", number: int = 0, calls: int = 0
) -> Worker:
    worker = Worker(clock, folder, crew=crew, number=number, calls=calls)
    await worker.metrics.begin()
    return worker
