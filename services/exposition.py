"""The text format in which Prometheus reads metrics, version 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from services.metric_families import FAMILIES, Family, Table

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_IN_HELP: Final = str.maketrans({"\\": "\\\\", "\n": "\\n"})
_IN_LABEL: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def exposition(table: Table) -> str:
    """Return the families of a table as text; one without samples is left out."""
    return "".join(
        f"{line}\n"
        for family in FAMILIES.values()
        if family.name in table
        for line in _lines(family, table)
    )


def _lines(family: Family, table: Table) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}"
    yield f"# TYPE {family.name} {family.kind}"
    for values, numbers in sorted(table[family.name].items()):
        labels = list(zip(family.labels, values, strict=True))
        if family.kind == "histogram":
            yield from _histogram(family, labels, numbers)
        else:
            yield _line(family.name, labels, numbers[0])


def _histogram(
    family: Family, labels: list[tuple[str, str]], numbers: list[float]
) -> Iterator[str]:
    *buckets, total = numbers
    # As Prometheus itself writes them: `1.0`, not `1`.
    bounds = [*map(repr, family.bounds), "+Inf"]
    counts = list(accumulate(buckets))
    for bound, count in zip(bounds, counts, strict=True):
        yield _line(f"{family.name}_bucket", [*labels, ("le", bound)], count)
    yield _line(f"{family.name}_sum", labels, total)
    yield _line(f"{family.name}_count", labels, counts[-1])


def _line(name: str, labels: Iterable[tuple[str, str]], number: float) -> str:
    shown = ",".join(f'{label}="{value.translate(_IN_LABEL)}"' for label, value in labels)
    return f"{name}{{{shown}}} {_number(number)}" if shown else f"{name} {_number(number)}"


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))
