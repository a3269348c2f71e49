"""How much an account may do at once, its weight, whether it drains, and who it is."""

from sqlalchemy import Boolean, Column, Integer, String

from repositories.sql.migrations.steps import MOMENT, add_columns, create_index

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns and the index."""
    add_columns(
        "accounts",
        Column("max_concurrent", Integer, nullable=False, server_default="0"),
        Column("weight", Integer, nullable=False, server_default="1"),
        Column("is_draining", Boolean, nullable=False, server_default="0"),
        Column("status_reason", String(255)),
        Column("identity", String(255)),
        Column("draining_since", MOMENT),
        Column("drain_until", MOMENT),
    )
    create_index("accounts", "provider_id", "identity", unique=True)
