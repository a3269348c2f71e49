"""Counts ended model calls: one look-up and a few additions each; the rest waits for a scrape.

Every value of a label is ours or an operator's, never a client's: a client could make up any number
of them. Hence no models, keys or accounts.
"""

from bisect import bisect_left
from typing import Final, TypeAlias

from models.exchange import RequestRecord
from models.usage import NO_USAGE
from services.metric_families import LATENCY_BOUNDS_S, Labels, Samples, Table, more

MAX_ROWS: Final = 2_000
"""Combinations that are counted apart. Only an operator who goes on renaming providers gets there;
what is over it is counted together."""

LABELS: Final = 5
"""Of a row: dialect, provider, status, error code, `true` where it was streamed; `""` is none."""

_BOUNDS_MS: Final = tuple(1000.0 * bound_s for bound_s in LATENCY_BOUNDS_S)
_TOKENS: Final = ("input", "output", "cache_read", "cache_write")

# What stands where in a row, a flat list so that it is copied and written at once.
_ATTEMPTS: Final = 0
_INPUT: Final = 1
_OUTPUT: Final = 2
_CACHE_READ: Final = 3
_CACHE_WRITE: Final = 4
_LATENCY: Final = 5
_LATENCY_MS: Final = _LATENCY + len(_BOUNDS_MS) + 1
_FIRST: Final = _LATENCY_MS + 1
_FIRST_MS: Final = _FIRST + len(_BOUNDS_MS) + 1
WIDTH: Final = _FIRST_MS + 1
"""Numbers of a row."""

_Key: TypeAlias = tuple[str, str | None, int, str | None, bool]


class RequestMeter:
    """The calls of this process, and of those whose place it took."""

    def __init__(self) -> None:
        self._rows: dict[_Key, list[float]] = {}
        self._samples: Samples = {}
        """The same rows by their labels."""

    def count(self, record: RequestRecord) -> None:
        """Count a call that has ended."""
        key = (
            record.dialect,
            record.provider_id,
            record.status,
            record.error_code,
            record.stream,
        )
        row = self._rows.get(key) or self._begin(key)
        row[_ATTEMPTS] += record.attempts
        latency_ms = record.latency_ms
        row[_LATENCY_MS] += latency_ms
        row[_LATENCY + bisect_left(_BOUNDS_MS, latency_ms)] += 1
        first_byte_ms = record.first_byte_ms
        if first_byte_ms is not None:
            row[_FIRST_MS] += first_byte_ms
            row[_FIRST + bisect_left(_BOUNDS_MS, first_byte_ms)] += 1
        usage = record.usage
        if usage is not NO_USAGE:
            row[_INPUT] += usage.input_tokens or 0
            row[_OUTPUT] += usage.output_tokens or 0
            if usage.cache_read_tokens:
                row[_CACHE_READ] += usage.cache_read_tokens
            if usage.cache_write_tokens:
                row[_CACHE_WRITE] += usage.cache_write_tokens

    def inherit(self, samples: Samples) -> None:
        """Go on with these counts; call it before anything is counted."""
        self._samples.update(samples)

    def samples(self) -> Samples:
        """Return the counts so far."""
        return {labels: row.copy() for labels, row in self._samples.items()}

    def _begin(self, key: _Key) -> list[float]:
        if len(self._rows) >= MAX_ROWS:
            key = ("other", None, key[2] // 100 * 100, None if key[3] is None else "other", key[4])
        row = self._samples.setdefault(_labels(key), [0] * WIDTH)
        self._rows[key] = row
        return row


def families_of(samples: Samples) -> Table:
    """Return what is told of calls that were counted."""
    table: Table = {}
    for (dialect, provider, status, code, streamed), row in samples.items():
        took, first = row[_LATENCY : _LATENCY_MS + 1], row[_FIRST : _FIRST_MS + 1]
        calls = sum(took[:-1])
        more(table, "aigateway_requests_total", (dialect, provider, f"{status[:1]}xx"), [calls])
        if code:
            more(table, "aigateway_request_errors_total", (provider, code), [calls])
        if provider:
            more(table, "aigateway_attempts_total", (provider,), [row[_ATTEMPTS]])
            for kind, tokens in zip(_TOKENS, row[_INPUT:_LATENCY], strict=True):
                more(table, "aigateway_tokens_total", (provider, kind), [tokens])
        labels = (provider, streamed or "false")
        more(table, "aigateway_request_duration_seconds", labels, _seconds(took))
        if any(first):
            more(table, "aigateway_request_first_byte_seconds", (provider,), _seconds(first))
    return table


def _labels(key: _Key) -> Labels:
    dialect, provider_id, status, code, stream = key
    return dialect, provider_id or "", str(status), code or "", "true" if stream else ""


def _seconds(numbers: list[float]) -> list[float]:
    """Return a histogram of milliseconds as one of seconds."""
    *buckets, total_ms = numbers
    return [*buckets, total_ms / 1000.0]
