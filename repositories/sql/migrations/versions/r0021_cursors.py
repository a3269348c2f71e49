"""How far something has been done that goes on."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_table

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Create the table."""
    create_table(
        "cursors",
        Column("name", String(64), nullable=False),
        Column("value", String(64), nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("name", name="pk_cursors"),
    )
