"""What is measured, and how the figures of several workers become one.

A sample is a list of numbers, so that two of them are added number by number: one number for a
counter or a gauge; for a histogram the counts of its buckets (each without those below it), of what
is over all of them, and the sum.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Labels: TypeAlias = tuple[str, ...]
"""Values of a family's labels, in its order."""

Samples: TypeAlias = dict[Labels, list[float]]

Table: TypeAlias = dict[str, Samples]
"""Samples by the name of their family."""

LATENCY_BOUNDS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LAG_BOUNDS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One name and everything that is told under it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper ends of a histogram's buckets, the last one without an end left out."""

    @property
    def width(self) -> int:
        """How many numbers a sample has."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


_ALL: Final = (
    Family(
        "aigateway_requests_total",
        "counter",
        "Model calls that have ended.",
        ("dialect", "provider", "status"),
    ),
    Family(
        "aigateway_request_errors_total",
        "counter",
        "Model calls that ended with an error, also inside a stream.",
        ("provider", "code"),
    ),
    Family(
        "aigateway_attempts_total",
        "counter",
        "Times that a provider was asked for a model call.",
        ("provider",),
    ),
    Family(
        "aigateway_tokens_total",
        "counter",
        "Tokens as providers reported them; the kinds do not overlap.",
        ("provider", "kind"),
    ),
    Family(
        "aigateway_request_duration_seconds",
        "histogram",
        "From a model call's arrival to the end of its answer.",
        ("provider", "stream"),
        LATENCY_BOUNDS_S,
    ),
    Family(
        "aigateway_request_first_byte_seconds",
        "histogram",
        "From a model call's arrival to the first content of its answer.",
        ("provider",),
        LATENCY_BOUNDS_S,
    ),
    Family(
        "aigateway_requests_refused_total",
        "counter",
        "Model calls refused at once because they could not begin soon; no others count them.",
    ),
    Family("aigateway_requests_in_flight", "gauge", "Model calls under way, streams included."),
    Family("aigateway_streams_in_flight", "gauge", "Streams under way."),
    Family("aigateway_accounts", "gauge", "Accounts by their state.", ("provider", "state")),
    Family("aigateway_rests", "gauge", "Rests in force.", ("kind",)),
    Family(
        "aigateway_breakers_open",
        "gauge",
        "Addresses of providers that are left alone because they fail for everybody.",
        ("provider",),
    ),
    Family("aigateway_egress_proxies", "gauge", "Outbound proxies by their state.", ("state",)),
    Family("aigateway_records_queued", "gauge", "Records of requests that wait in memory."),
    Family(
        "aigateway_records_spooled",
        "gauge",
        "Records of requests that wait on the disk for the database.",
    ),
    Family(
        "aigateway_records_written_total", "counter", "Records of requests that the database took."
    ),
    Family(
        "aigateway_records_lost_total",
        "counter",
        "Records of requests for which nobody had room, or that the database refused.",
        ("reason",),
    ),
    Family(
        "aigateway_component_up",
        "gauge",
        "Whether a store answered the worker when it was last used.",
        ("component", "worker"),
    ),
    Family("aigateway_workers", "gauge", "Workers that tell how they are."),
    Family(
        "aigateway_event_loop_lag_seconds",
        "histogram",
        "How late an event loop was, looked at once a second.",
        (),
        LAG_BOUNDS_S,
    ),
    Family("aigateway_process_resident_memory_bytes", "gauge", "Memory in use (RSS).", ("worker",)),
    Family(
        "aigateway_process_cpu_seconds_total",
        "counter",
        "CPU time that the process has used.",
        ("worker",),
    ),
    Family("aigateway_process_open_fds", "gauge", "Open file descriptors.", ("worker",)),
    Family(
        "aigateway_process_start_time_seconds",
        "gauge",
        "When the process was started, epoch seconds.",
        ("worker",),
    ),
    Family("aigateway_build_info", "gauge", "Always 1; the version is its label.", ("version",)),
)

FAMILIES: Final = {family.name: family for family in _ALL}


def more(table: Table, name: str, labels: Labels, numbers: list[float]) -> None:
    """Add a sample to what a table has under its name and labels."""
    more_of(table.setdefault(name, {}), labels, numbers)


def more_of(samples: Samples, labels: Labels, numbers: list[float]) -> None:
    """Add a sample to those of its family."""
    known = samples.get(labels)
    samples[labels] = numbers if known is None else list(map(operator.add, known, numbers))


def add(total: Table, tables: Iterable[Table]) -> Table:
    """Add every sample of the tables to those in `total`, and return it."""
    for table in tables:
        for name, samples in table.items():
            for labels, numbers in samples.items():
                more(total, name, labels, numbers)
    return total
