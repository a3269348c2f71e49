"""What is asked through an SDK, and what its user sees, whichever SDK it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.e2e.harness import Rig

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
"""The arguments of every tool here, and of answers that must have a form."""


@dataclass(frozen=True)
class Got:
    """An answer as the SDK's user sees it."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str, Any], ...] = ()
    """Id, name, parsed arguments."""
    finish: str | None = None
    """In the SDK's own words."""
    stop_sequence: str | None = None
    prompt: int | None = None
    """All input tokens, cached or not."""
    cached: int | None = None
    output: int | None = None
    """All output tokens, thought or said."""
    turn: Any = None
    """The assistant's turn as the SDK's user sends it back."""


@dataclass(frozen=True)
class Ask:
    """One question."""

    text: str = "Hello"
    system: str | None = None
    image: str | None = None
    """A PNG in base64."""
    tools: tuple[str, ...] = ()
    must_call: bool = False
    schema: bool = False
    """The answer must have the form of SCHEMA."""
    thinks: bool = False
    """Thinking is wanted and to be shown."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    after: Got | None = None
    """An answer with calls, which this request answers."""
    results: Mapping[str, str] = field(default_factory=dict)
    """By the position of the call, as text."""
    then: str | None = None
    """What the user says after the results."""


class Sdk(Protocol):
    """One official SDK in front of the gateway."""

    finishes: Mapping[str, str]
    """What it calls the ends of `Scenario.stop`."""
    errors: Mapping[int, type[Exception]]
    """What it raises by the provider's status."""
    stream_errors: tuple[type[Exception], ...]
    """What it raises, or its user reads, when a stream fails."""

    async def ask(self, rig: Rig, model: str, ask: Ask, *, stream: bool) -> Got:
        """Ask, and read the answer to its end."""
        ...

    async def count(self, rig: Rig, model: str, ask: Ask) -> int:
        """Count the input tokens."""
        ...

    async def models(self, rig: Rig) -> set[str]:
        """List the names of the models."""
        ...


class StreamFailed(Exception):
    """A stream that says in an event of its own that it failed, where the SDK does not raise."""
