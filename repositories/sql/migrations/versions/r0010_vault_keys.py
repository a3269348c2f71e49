"""Proof of which master keys the credentials were sealed with."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_table

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "vault_keys",
        Column("kid", String(32), nullable=False),
        Column("proof", String(255), nullable=False),
        Column("created_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("kid", name="pk_vault_keys"),
    )
