"""What tells the conversation that a request belongs to."""

from typing import Literal, NamedTuple, TypeAlias

Outcome: TypeAlias = Literal["new", "kept", "borrowed", "moved"]
"""A turn of a conversation that nobody knew yet; on its own account; on another one while its own
cannot serve; on another one, which is its own from now on."""


class Session(NamedTuple):
    """What a request's body says of its conversation: only what is the same in each turn."""

    name: str | None
    """As the client calls it; None when it has no name for it."""
    has_history: bool
    """Whether the model has spoken before, so that an account may hold a part in its cache."""
    system: str
    """Beginning of the system text."""
    opening: str
    """Beginning of what the user said before the model first spoke."""
