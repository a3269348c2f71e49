"""What is kept for each outbound proxy, not for too many: those unused for longest go first."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from models.egress import EgressProxy

T = TypeVar("T")

MAX_KEPT: Final = 1024


class ByEgress(Generic[T]):
    """One thing for each proxy; another one where its address has changed."""

    def __init__(self, make: Callable[[EgressProxy], T], retire: Callable[[T], None]) -> None:
        """`retire` is given what there is no room for any more."""
        self._make = make
        self._retire = retire
        self._kept: OrderedDict[tuple[str, str], T] = OrderedDict()

    def get(self, egress: EgressProxy) -> T:
        """Return what is kept for the proxy, made now if there is nothing."""
        key = (egress.id, egress.url)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        made = self._kept[key] = self._make(egress)
        if len(self._kept) > MAX_KEPT:
            self._retire(self._kept.popitem(last=False)[1])
        return made

    def all(self) -> Iterable[T]:
        """Return everything that is kept."""
        return self._kept.values()
