"""What is wrong with a configuration, all of it at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from config.redaction import one_line, redact


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, which key it concerns, what is wrong. Never holds a value."""

    where: str
    """`config/config.yaml:12`, `environment`, `--port`."""
    key: str
    """Dotted key or variable name; empty when the whole source is meant."""
    message: str

    def __str__(self) -> str:
        parts = (self.where, self.key, self.message)
        return one_line(redact(": ".join(part for part in parts if part)))


class ConfigError(Exception):
    """The configuration cannot be used; `problems` lists everything that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=_order))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _order(problem: Problem) -> tuple[bool, str, int]:
    """Sort files before the rest, and by line."""
    source, _, line = problem.where.rpartition(":")
    return (not line.isdecimal(), source, int(line) if line.isdecimal() else 0)
