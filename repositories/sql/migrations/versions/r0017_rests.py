"""Who rests, until when and why, over a restart."""

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "rests",
        Column("subject", String(255), nullable=False),
        Column("scope", String(255), nullable=False),
        Column("reason", String(64), nullable=False),
        Column("evidence", String(255), nullable=False),
        Column("began_at", MOMENT, nullable=False),
        Column("until", MOMENT, nullable=False),
        Column("trial_at", MOMENT),
        Column("strikes", Integer, nullable=False),
        PrimaryKeyConstraint("subject", "scope", name="pk_rests"),
    )
    create_index("rests", "until")
