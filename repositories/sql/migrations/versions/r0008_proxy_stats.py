"""What went through each proxy to each provider on each day."""

from sqlalchemy import BigInteger, Column, Date, Double, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import create_table

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "proxy_stats",
        Column("proxy_id", String(32), nullable=False),
        Column("provider_id", String(64), nullable=False),
        Column("day", Date, nullable=False),
        Column("requests", BigInteger, nullable=False),
        Column("errors", BigInteger, nullable=False),
        Column("input_tokens", BigInteger, nullable=False),
        Column("output_tokens", BigInteger, nullable=False),
        Column("latency_ms", Double, nullable=False),
        PrimaryKeyConstraint("proxy_id", "provider_id", "day", name="pk_proxy_stats"),
    )
