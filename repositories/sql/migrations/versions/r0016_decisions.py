"""Pictures of the pool that attempts were decided on."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import LONG_TEXT, MOMENT, create_index, create_table

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "decisions",
        Column("id", String(32), nullable=False),
        Column("at", MOMENT, nullable=False),
        Column("provider_id", String(64), nullable=False),
        Column("model", String(255), nullable=False),
        Column("body", LONG_TEXT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    create_index("decisions", "at")
