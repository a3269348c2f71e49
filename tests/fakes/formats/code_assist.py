"""Code Assist as Google writes it: Gemini's answers wrapped, projects found, models listed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.formats.base import Seen
from tests.fakes.formats.gemini import Chunk, as_events

_OPERATION = "operations/onboard-1"


def wrapped(chunk: Chunk) -> dict[str, Any]:
    """A whole answer in its envelope."""
    return {"response": chunk, "traceId": "trace-fake01"}


def wrapped_events(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """A stream, each object in its envelope."""
    return as_events(wrapped(chunk) for chunk in chunks)


def models_json(names: Sequence[str]) -> dict[str, Any]:
    """The answer of `:fetchAvailableModels`, with two that are not for users."""
    quota = {"remainingFraction": 0.8, "resetTime": "2036-01-02T03:04:05Z"}
    told = {"displayName": "Fake", "quotaInfo": quota, "maxOutputTokens": 65_535}
    return {"models": dict.fromkeys((*names, "chat_20706", "tab_flash_lite_preview"), told)}


@dataclass
class Onboarding:
    """Which project accounts belong to, and how many calls it takes to find out."""

    project: str = "project-found"
    is_done: bool = True
    """Otherwise `:loadCodeAssist` names a tier that must be joined first."""
    polls: int = 1
    """So often an operation is not done yet."""
    steps: list[str] = field(default_factory=list)
    """What was called, in order."""

    def load(self, _seen: Seen) -> dict[str, Any]:
        """The answer of `:loadCodeAssist`."""
        self.steps.append("load")
        free = {"id": "free-tier", "name": "Free", "isDefault": True}
        if not self.is_done:
            return {"allowedTiers": [{"id": "legacy-tier", "name": "Old"}, free]}
        return {"currentTier": free, "cloudaicompanionProject": self.project}

    def onboard(self, _seen: Seen) -> dict[str, Any]:
        """The answer of `:onboardUser`: an operation that takes a while."""
        self.steps.append("onboard")
        return self._operation()

    def poll(self, _seen: Seen) -> dict[str, Any]:
        """The state of that operation."""
        self.steps.append("poll")
        self.polls -= 1
        return self._operation()

    def _operation(self) -> dict[str, Any]:
        if self.polls > 0:
            return {"name": _OPERATION, "done": False}
        self.is_done = True
        response = {"cloudaicompanionProject": {"id": self.project, "name": "Fake"}}
        return {"name": _OPERATION, "done": True, "response": response}
