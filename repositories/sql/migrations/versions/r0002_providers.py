"""Upstream services."""

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, String, Text

from repositories.sql.migrations.steps import MOMENT, create_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "providers",
        Column("id", String(64), nullable=False),
        Column("name", String(255), nullable=False),
        Column("dialect", String(64), nullable=False),
        Column("base_url", String(2048)),
        Column("prefixes", Text),
        Column("is_builtin", Boolean, nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_providers"),
    )
