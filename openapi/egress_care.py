"""Bodies of what keeps proxies well: probes, moves of accounts, and lists."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from models.egress import EgressHealth
from openapi.fields import Answer, Body, Capacity, OptionalBody, Priority, Slug
from openapi.proxy_lists import MAX_LINES, count_lines

MAX_LIST_CHARS = 4 * 1024 * 1024


def _short_list(secret: SecretStr) -> SecretStr:
    if count_lines(secret.get_secret_value()) > MAX_LINES:
        raise ValueError(f"must not hold more than {MAX_LINES} lines")
    return secret


class ProxyImport(Body):
    """A list of proxies."""

    lines: Annotated[
        SecretStr,
        Field(
            min_length=1,
            max_length=MAX_LIST_CHARS,
            json_schema_extra={"writeOnly": True},
            examples=["proxy.example.com:3128:user:password\nsocks5h://other.example.com:1080"],
        ),
        AfterValidator(_short_list),
    ]
    """One proxy on each line: `scheme://user:password@host:port`, `host:port`,
    `host:port:user:password`, `user:password@host:port` or `user:password:host:port`. Tabs, blanks
    and semicolons part as colons do; `#` begins a comment. At most 10,000 lines."""
    scheme: Literal["http", "https", "socks5", "socks5h"] = "http"
    """For lines that name none."""
    provider_id: Slug | None = None
    """Only accounts of this provider may use them; null means any."""
    priority: Priority = 0
    max_accounts: Capacity = 0
    """Accounts that each of them takes; 0 means no limit."""
    label_prefix: Annotated[
        str, StringConstraints(max_length=190, pattern=r"^[ -~]*$"), Field(examples=["paris "])
    ] = ""
    """The label is this and the number of the line; empty for none."""
    dry_run: bool = False
    """Only tell what would be created."""


class ImportedLine(Answer):
    """What became of a line. Lines that are blank or a comment are left out."""

    line: int
    """From 1."""
    result: Literal["created", "exists", "invalid"]
    proxy_id: str | None
    url: str | None
    """The address as it was read, its password masked."""
    reason: str | None


class ImportAnswer(Answer):
    """What became of a list of proxies."""

    dry_run: bool
    created: int
    exists: int
    invalid: int
    lines: list[ImportedLine]

    @classmethod
    def of(cls, lines: Iterable[ImportedLine], *, dry_run: bool) -> "ImportAnswer":
        """Show what became of each line."""
        shown = list(lines)
        counts = {"created": 0, "exists": 0, "invalid": 0}
        for line in shown:
            counts[line.result] += 1
        return cls(dry_run=dry_run, lines=shown, **counts)


class ExportAnswer(Answer):
    """Every proxy as a list."""

    total: int
    lines: str
    """One address on each line, passwords masked. A masked list cannot be imported."""


class ProbeAnswer(Answer):
    """What a probe of a proxy found just now."""

    proxy_id: str
    is_reachable: bool
    """Whether a target answered through the proxy."""
    fault: Literal["proxy", "target"] | None
    """Who failed; null when it went well. Only failures of the proxy count against it."""
    error: str | None
    latency_ms: float | None
    """Until the head of the answer, the connection included."""
    exit_address: str | None
    """The address from which the target saw us come, if it tells."""
    exit_country: str | None
    checked_at: datetime
    health: EgressHealth
    """After this probe."""
    quarantined_until: datetime | None


class RehomeBody(OptionalBody):
    """Whether accounts really move."""

    dry_run: bool = True
    """Only tell where each would go."""


class MoveAnswer(Answer):
    """An account, and where it goes."""

    account_id: str
    label: str
    provider_id: str
    proxy_id: str | None
    """The proxy it goes to; null when there is no room elsewhere, and it stays."""


class RehomeAnswer(Answer):
    """Who goes where."""

    dry_run: bool
    proxy_id: str
    """The proxy that they leave."""
    moved: int
    stayed: int
    moves: list[MoveAnswer]
