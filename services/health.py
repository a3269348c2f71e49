"""Whether the gateway serves, told without waiting for anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """What `/health` tells. Its checks only look at what others found out on their way."""

    components: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    """By name (`database`, `redis`): whether it answered when it was last used.

    Requests are served from memory while one is away, so none of them makes us not ready.
    """
    is_ready: bool = False
    """True between the end of the start and the begin of the shutdown."""

    def states(self) -> dict[str, bool]:
        """Return for each component whether it is well."""
        return {name: check() for name, check in self.components.items()}
