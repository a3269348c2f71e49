"""Who calls."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's key as stored: its hash only."""

    id: str
    name: str
    key_hash: bytes = field(repr=False)
    """Keyed hash of the secret (auth/keys.py)."""
    hint: str = ""
    """Last four characters, to tell keys apart."""
    is_admin: bool = False
    is_active: bool = True
    expires_at: float | None = None
    created_at: float = 0.0
    principal: "Principal" = field(init=False, repr=False, compare=False)
    """Who calls with it, while it is good."""

    def __post_init__(self) -> None:
        principal = Principal(self.id, self.name, self.is_admin, self.expires_at)
        object.__setattr__(self, "principal", principal)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request, once its key was found good."""

    key_id: str
    name: str
    is_admin: bool
    expires_at: float | None = None
