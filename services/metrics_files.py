"""How the workers of one machine tell each other their figures: one file each, always whole.

`<folder>/<crew>/<worker>.json` is replaced by its worker every second and at each scrape. All
workers that one supervisor keeps are a crew; one that is started anew goes on with the counts in
its predecessor's file, so that sums never go back and there are never more files than workers. A
crew that was started anew reads nothing of the one before. Everything here blocks: call it in a
thread.
"""

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import orjson

from models.json_types import Json
from services.metric_families import FAMILIES, Labels, Samples, Table
from services.request_meter import LABELS, WIDTH

logger = logging.getLogger(__name__)

ENDED_AFTER_S: Final = 60.0
"""A crew whose files are all older than that is no more; living workers write every second."""

_COMPLAIN_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Page:
    """What one worker tells."""

    number: int
    """Grows with each page of a worker."""
    at: float
    """When it was written, epoch seconds UTC."""
    calls: Samples = field(default_factory=dict)
    """What `RequestMeter` counted, since the begin of the crew."""
    counts: Table = field(default_factory=dict)
    """What else only grows."""
    state: Table = field(default_factory=dict)
    """How it is now; says nothing once the page is old."""


class MetricsFiles:
    """The file of one worker, and what the others of its crew wrote."""

    def __init__(self, folder: Path, crew: str, worker: int) -> None:
        self._folder = folder
        self._crew = folder / crew
        self._own = self._crew / f"{worker}.json"
        self._writing = threading.Lock()
        self._last: Page | None = None
        self._complained_at = -_COMPLAIN_AFTER_S

    def begin(self, now: float) -> Page | None:
        """Remove what ended crews left; return the last page of this worker's predecessor."""
        with suppress(OSError):
            for crew in self._folder.iterdir():
                if crew != self._crew and _newest(crew) < now - ENDED_AFTER_S:
                    _remove(crew)
        return _read(self._own)

    def exchange(self, page: Page) -> list[Page]:
        """Write our page, and return everybody's newest.

        Sums over what is returned never go back, whichever worker is asked: what counts is what the
        files say. So where ours cannot be written, our counts stand still for everybody.
        """
        mine = self.write(page)
        paths = sorted(self._crew.glob("*.json"))
        others = [_read(path) for path in paths if path != self._own]
        return [mine, *(other for other in others if other is not None)]

    def write(self, page: Page) -> Page:
        """Replace our file unless a newer page is there; return what the others see of us."""
        with self._writing:
            if self._last is not None and self._last.number >= page.number:
                return self._last
            try:
                self._replace(page)
            except OSError as error:
                self._complain(error)
                last = self._last or page
                return replace(page, calls=last.calls, counts=last.counts)
            self._last = page
            return page

    def _replace(self, page: Page) -> None:
        self._crew.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._own.with_suffix(".new")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as writer:
            writer.write(_to_json(page))
        draft.replace(self._own)

    def _complain(self, error: OSError) -> None:
        """Log, at most once a minute."""
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAIN_AFTER_S:
            self._complained_at = now
            logger.error(
                "metrics cannot be shared with the other workers",
                extra={"error": error.strerror or str(error)},
            )


def _newest(crew: Path) -> float:
    """Return when a crew last wrote; 0 for an empty folder."""
    return max((path.stat().st_mtime for path in crew.iterdir()), default=0.0)


def _remove(crew: Path) -> None:
    for path in crew.iterdir():
        path.unlink(missing_ok=True)  # several workers may tidy up at once
    crew.rmdir()


def _read(path: Path) -> Page | None:
    """Return a worker's page; None where there is none that we understand."""
    try:
        return _page(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _to_json(page: Page) -> bytes:
    return orjson.dumps(
        {
            "number": page.number,
            "at": page.at,
            "calls": list(page.calls.items()),
            "counts": _listed(page.counts),
            "state": _listed(page.state),
        }
    )


def _listed(table: Table) -> dict[str, list[tuple[Labels, list[float]]]]:
    return {name: list(samples.items()) for name, samples in table.items()}


def _page(told: Json) -> Page:
    """Raises ValueError, TypeError or KeyError for what is no page."""
    if not isinstance(told, dict):
        raise TypeError("a page is an object")
    number, at = told["number"], told["at"]
    if not isinstance(number, int) or not isinstance(at, int | float):
        raise TypeError("a page says when it was written")
    calls = _samples(told["calls"], LABELS, WIDTH)
    return Page(number, at, calls, _table(told["counts"]), _table(told["state"]))


def _table(told: Json) -> Table:
    """Return what is told, without families that this version does not know or knows otherwise."""
    if not isinstance(told, dict):
        raise TypeError("a table is an object")
    table: Table = {}
    for name, samples in told.items():
        family = FAMILIES.get(name)
        if family is not None:
            table[name] = _samples(samples, len(family.labels), family.width)
    return table


def _samples(told: Json, labels: int, width: int) -> Samples:
    """Return the samples that have so many labels and numbers."""
    if not isinstance(told, list):
        raise TypeError("samples are a list")
    pairs = map(_sample, told)
    return {
        names: numbers for names, numbers in pairs if (len(names), len(numbers)) == (labels, width)
    }


def _sample(told: Json) -> tuple[Labels, list[float]]:
    match told:
        case [list(labels), list(numbers)]:
            return (
                tuple(label for label in labels if isinstance(label, str)),
                [number for number in numbers if isinstance(number, int | float)],
            )
        case _:
            raise ValueError("a sample is its labels and its numbers")
