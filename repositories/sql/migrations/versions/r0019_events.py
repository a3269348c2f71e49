"""What operators want to hear of."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import LONG_TEXT, MOMENT, create_index, create_table

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "events",
        Column("id", String(32), nullable=False),
        Column("at", MOMENT, nullable=False),
        Column("kind", String(64), nullable=False),
        Column("message", String(255), nullable=False),
        Column("provider_id", String(64)),
        Column("account_id", String(32)),
        Column("proxy_id", String(32)),
        Column("details", LONG_TEXT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_events"),
    )
    create_index("events", "at")
