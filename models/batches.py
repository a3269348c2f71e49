"""Long lists, some at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return the things in their order, at most `size` at once."""
    return (things[at : at + size] for at in range(0, len(things), size))
