"""The text that Prometheus reads, read back by its own parser."""

import pytest

from services.exposition import exposition
from services.metric_families import LAG_BOUNDS_S, Table
from tests.scraped import scraped


@pytest.mark.parametrize(
    "value",
    ["plain", 'a"b', "a\\b", "a\nb", "a\\nb", '\\"', "\\\\", "ü€", "{x=1}", "a,b", ""],
)
def test_labels_come_back_as_they_were(value: str) -> None:
    table: Table = {"aigateway_rests": {(value,): [3]}}
    assert scraped(exposition(table)).samples == (("aigateway_rests", {"kind": value}, 3.0),)


@pytest.mark.parametrize("value", [0, 1, 0.1, 1e-9, 123456789012345678, 1795205879.47, 2.5e300])
def test_numbers_come_back_as_they_were(value: float) -> None:
    told = scraped(exposition({"aigateway_workers": {(): [value]}}))
    assert told.of("aigateway_workers") == value


def test_buckets_are_told_with_those_below_them() -> None:
    counts = [float(number) for number in range(1, len(LAG_BOUNDS_S) + 2)]
    told = scraped(exposition({"aigateway_event_loop_lag_seconds": {(): [*counts, 2.5]}}))
    name = "aigateway_event_loop_lag_seconds"
    assert told.kinds == {name: "histogram"}
    assert told.of(f"{name}_bucket", le="0.002") == 1
    assert told.of(f"{name}_bucket", le="0.01") == 1 + 2 + 3
    assert told.of(f"{name}_bucket", le="+Inf") == sum(counts) == told.of(f"{name}_count")
    assert told.of(f"{name}_sum") == 2.5


def test_what_nobody_counted_is_not_told() -> None:
    assert exposition({}) == ""
