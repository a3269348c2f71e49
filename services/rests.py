"""What operators see of rests, and how they end one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from models.errors import NotFound
from models.ports import Clock
from models.rest import Rest
from openapi.rests import RestQuery, RestTarget
from repositories.base import Page
from services.cooldown import Cooldowns

ENDED: Final = "an operator ended it"


@dataclass(frozen=True, slots=True)
class ShownRest:
    """A rest and what is to be shown with it."""

    rest: Rest
    provider_id: str | None
    label: str | None
    now: float


class Rests:
    """The rests that this process knows, which are those of all replicas."""

    def __init__(
        self,
        cooldowns: Cooldowns,
        provider_of: Callable[[str], str | None],
        label_of: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        """`provider_of` names the provider of an account, `label_of` is what an operator calls an
        account or a proxy."""
        self._cooldowns = cooldowns
        self._provider_of = provider_of
        self._label_of = label_of
        self._clock = clock

    def page(self, query: RestQuery) -> Page[ShownRest]:
        """Return rests in force or half-open, by subject and scope."""
        now = self._clock.now()
        everything = [self._shown(rest, now) for rest in self._cooldowns.active(now)]
        found = [
            shown
            for shown in everything
            if query.subject in (None, shown.rest.subject)
            and query.provider_id in (None, shown.provider_id)
        ]
        part = found[query.offset : query.offset + query.limit]
        return Page(part, len(found), query.limit, query.offset)

    def end(self, target: RestTarget) -> None:
        """End rests on all replicas. Raises NotFound when there is none."""
        rests = [
            rest
            for rest in self._cooldowns.active(self._clock.now())
            if rest.subject == target.subject and target.scope in (None, rest.scope)
        ]
        for rest in rests:
            self._cooldowns.release(rest.subject, rest.scope, ENDED)
        if not rests:
            raise NotFound(f"{target.subject} does not rest for that")

    def _shown(self, rest: Rest, now: float) -> ShownRest:
        provider_id = rest.origin_provider_id or self._provider_of(rest.subject)
        return ShownRest(rest, provider_id, self._label_of(rest.subject), now)
