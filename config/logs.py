"""How events are written: one line each, as JSON or for people, without secrets.

Events carry fields (`logger.info("account cooled down", extra={"account": id})`). Whatever a
message, a field or a traceback holds is masked and escaped here, in one place, because anything
of it may come from a client or an upstream: a newline in it must not begin a line of its own.
"""

import json
import logging
import logging.config
import math
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from config.redaction import MASK, KnownSecrets, is_secret_name, one_line

_MAX_CHARACTERS = 8_000
_MAX_ITEMS = 50
_MAX_DEPTH = 4
_LIBRARIES = ("aiohttp", "aiohttp.access", "alembic", "apscheduler", "asyncio", "sqlalchemy")
_STANDARD = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime", "taskName"}
)

Field = None | bool | int | float | str | list["Field"] | dict[str, "Field"]


def configure_logging(
    level: str,
    style: Literal["console", "json"],
    *,
    secrets: Sequence[str] = (),
    worker: int | None = None,
) -> None:
    """Send all logging of the process to standard error.

    `secrets` are values that are masked wherever they turn up, besides what looks like a secret.
    """
    formatter = JsonLines if style == "json" else ConsoleLines
    at_least = max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {"()": formatter, "mask": KnownSecrets(secrets), "worker": worker}
            },
            "filters": {"malformed": {"()": MalformedRequests}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                # Libraries tell of values at their lower levels.
                **{name: {"level": at_least} for name in _LIBRARIES},
                "aiohttp.server": {"level": at_least, "filters": ["malformed"]},
            },
        }
    )
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    """What both styles share: the fields of a record, masked and of bounded size."""

    def __init__(self, mask: KnownSecrets, worker: int | None = None) -> None:
        super().__init__()
        self._mask = mask
        self._worker = worker

    def fields(self, record: logging.LogRecord) -> dict[str, Field]:
        """Return the record as ordered, safe fields."""
        fields: dict[str, Field] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._text(_message(record)),
        }
        if self._worker is not None:
            fields["worker"] = self._worker
        for name, value in record.__dict__.items():
            if name in _STANDARD or (name == "worker" and value == self._worker):
                continue
            key = f"{name}_" if name in fields or name == "exception" else name
            fields[self._name(key)] = self._field(name, value)
        if trace := _trace(record):
            fields["exception"] = self._text(trace)
        return fields

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time in UTC with milliseconds: `2026-11-20T10:19:03.512Z`."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def _field(self, name: str, value: object, depth: int = 0) -> Field:
        if is_secret_name(name) and value is not None:
            return MASK
        match value:
            case None | bool():
                return value
            case int():
                # Python refuses to write out huge ones.
                return value if abs(value) < 1 << 64 else f"<{value.bit_length()} bits>"
            case float():
                return value if math.isfinite(value) else str(value)
            case bytes() | bytearray() | memoryview():
                return f"<{len(value)} bytes>"
            case Mapping() if depth < _MAX_DEPTH:
                items = list(value.items())[:_MAX_ITEMS]
                return {
                    self._text(str(key)): self._field(str(key), item, depth + 1)
                    for key, item in items
                }
            case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
                return [self._field("", item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
            case _:
                return self._text(_as_text(value))

    def _name(self, name: str) -> str:
        # Names written in code are few and no secrets; anything else was made from data.
        return name if len(name) <= 32 and name.isidentifier() else self._text(name)

    def _text(self, text: str) -> str:
        """Mask, then shorten: a secret that was cut in two would no longer look like one."""
        masked = self._mask.mask(text[: 8 * _MAX_CHARACTERS])
        if len(masked) <= _MAX_CHARACTERS:
            return masked
        half = _MAX_CHARACTERS // 2
        return f"{masked[:half]} ... {len(text)} characters ... {masked[-half:]}"


class JsonLines(_Lines):
    """One JSON object a line, ASCII only."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # ASCII keeps every terminal and line reader safe from what counts as a control character.
        return json.dumps(self.fields(record), ensure_ascii=True)


class ConsoleLines(_Lines):
    """`time LEVEL logger: message name=value`, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = self.fields(record)
        head = f"{fields.pop('time')} {fields.pop('level'):<7} {fields.pop('logger')}"
        if (worker := fields.pop("worker", None)) is not None:
            head += f"[{worker}]"
        trace = fields.pop("exception", None)
        parts = [f"{head}: {fields.pop('message')}", *_pairs(fields)]
        if trace is not None:
            # On one line, but still readable.
            parts += [f"| {line.strip()}" for line in str(trace).splitlines() if line.strip()]
        return one_line(" ".join(parts))


def _pairs(fields: Mapping[str, Field]) -> Iterator[str]:
    for name, value in fields.items():
        plain = not isinstance(value, list | dict) and " " not in str(value)
        yield f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"


class MalformedRequests(logging.Filter):
    """Makes one line at WARNING of what aiohttp logs with a traceback: requests that are no HTTP.

    Anyone on the network can cause these, as fast as the network is. Real failures of ours stay.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place; False when WARNING is not written at all."""
        error = record.exc_info[1] if record.exc_info else None
        # Judged by name: this package does not import aiohttp.
        if error is None or not type(error).__module__.startswith("aiohttp.http"):
            return True
        record.msg = "malformed request"
        record.args = ()
        record.exc_info = None
        record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.reason = type(error).__name__
        return logging.getLogger(record.name).isEnabledFor(logging.WARNING)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} (its arguments do not fit)"


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        # Whatever a foreign __str__ raises must not cost the event.
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1] is not None:
        return "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return record.stack_info or ""
