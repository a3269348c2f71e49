"""Tells operators who rests for long, who is well again and who waits for them.

Only the replica in which it happened tells, so it is told once; and what goes on is told once.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from models.errors import ErrorKind
from models.event import EventKind, Tell, called
from models.rest import EVERY_MODEL, Rest

LONG_S: Final = 60.0
"""Shorter rests of accounts are nobody's business."""

_BEGUN: Final[Mapping[str, EventKind]] = {
    "account": EventKind.ACCOUNT_COOLED,
    "proxy": EventKind.PROXY_QUARANTINED,
    "provider": EventKind.PROVIDER_OPENED,
}
_ENDED: Final[Mapping[str, EventKind]] = {
    "account": EventKind.ACCOUNT_RECOVERED,
    "proxy": EventKind.PROXY_RECOVERED,
    "provider": EventKind.PROVIDER_CLOSED,
}


class RestEvents:
    """A follower of the book."""

    def __init__(
        self,
        tell: Tell,
        provider_of: Callable[[str], str | None],
        label_of: Callable[[str], str | None] = lambda _subject: None,
    ) -> None:
        """`provider_of` names the provider of an account, `label_of` is what an operator calls an
        account or a proxy."""
        self._tell_it = tell
        self._provider_of = provider_of
        self._label_of = label_of

    def began(self, rest: Rest, before: Rest | None) -> None:
        """Tell of a rest unless it only goes on."""
        if not _matters(rest):
            return
        if rest.needs_operator:
            self._tell(EventKind.ACCOUNT_NEEDS_OPERATOR, rest, "needs its operator")
        elif before is None or not _matters(before):
            what = "is left alone" if rest.subject_kind == "provider" else "rests"
            self._tell(_BEGUN[rest.subject_kind], rest, what)

    def ended(self, rest: Rest, evidence: str | None) -> None:
        """Tell of the end of a rest that was told. An operator knows what he ended himself."""
        if evidence is not None and _matters(rest):
            self._tell(_ENDED[rest.subject_kind], rest, "is well again", evidence)

    def _tell(self, kind: EventKind, rest: Rest, what: str, evidence: str | None = None) -> None:
        subject_kind = rest.subject_kind
        account_id = rest.subject if subject_kind == "account" else None
        why = rest.evidence or rest.reason.value if evidence is None else evidence
        where = "" if rest.scope == EVERY_MODEL else f" for {rest.scope}"
        who = called(subject_kind, self._label_of(rest.subject), rest.subject)
        self._tell_it(
            kind,
            f"{who} {what}{where}: {why}",
            provider_id=rest.origin_provider_id or self._provider_of(rest.subject),
            account_id=account_id,
            proxy_id=rest.subject if subject_kind == "proxy" else None,
            details={
                "scope": rest.scope,
                "reason": rest.reason.value,
                "evidence": why,
                "until": None if rest.needs_operator else _shown(rest.until),
            },
        )


def _shown(moment: float) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _matters(rest: Rest) -> bool:
    # Clients can name any number of models that are not there.
    if rest.reason is ErrorKind.MODEL_NOT_FOUND:
        return False
    return rest.subject_kind != "account" or rest.until - rest.began_at > LONG_S
