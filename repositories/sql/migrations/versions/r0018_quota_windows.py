"""What is left of the limits of accounts."""

from sqlalchemy import BigInteger, Column, Double, Integer, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "quota_windows",
        Column("account_id", String(32), nullable=False),
        Column("model", String(255), nullable=False),
        Column("window", String(32), nullable=False),
        Column("used_ratio", Double),
        Column("limit", BigInteger),
        Column("remaining", BigInteger),
        Column("unit", String(16)),
        Column("resets_at", MOMENT),
        Column("source", String(16), nullable=False),
        Column("confidence", Double, nullable=False),
        Column("samples", Integer, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("account_id", "model", "window", name="pk_quota_windows"),
    )
    create_index("quota_windows", "updated_at")
