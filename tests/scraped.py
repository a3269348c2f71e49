"""Metrics as Prometheus would read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Scraped:
    """The samples of one scrape."""

    samples: tuple[tuple[str, Mapping[str, str], float], ...]
    """Names, labels and values."""
    kinds: Mapping[str, str]
    """Type of each family by its name; the parser takes `_total` off a counter's."""

    def of(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name that have these labels, 0 for none."""
        return sum(
            value
            for one, own, value in self.samples
            if one == name and labels.items() <= own.items()
        )

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values that a label has."""
        return {own[label] for one, own, _ in self.samples if one == name}


def scraped(text: str) -> Scraped:
    """Read an answer of `/metrics`. Raises ValueError for what is not in the format."""
    families = list(text_string_to_metric_families(text))
    samples = [
        (sample.name, sample.labels, sample.value)
        for family in families
        for sample in family.samples
    ]
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in samples]
    if len(keys) != len(set(keys)):
        raise ValueError("a sample stands there twice")
    return Scraped(tuple(samples), {family.name: family.type for family in families})
