"""What probes of a proxy found."""

from sqlalchemy import Column, Double, String

from repositories.sql.migrations.steps import MOMENT, add_columns

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns."""
    add_columns(
        "proxy_pool",
        Column("exit_address", String(64)),
        Column("exit_country", String(8)),
        Column("checked_at", MOMENT),
        Column("check_error", String(255)),
        Column("latency_ms", Double),
    )
