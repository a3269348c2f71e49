"""What operators want to hear of, and the number that says in which order it was stored."""

from sqlalchemy import (
    BigInteger,
    Column,
    PrimaryKeyConstraint,
    String,
    column,
    insert,
    select,
    table,
)

from repositories.sql.migrations.steps import LONG_TEXT, MOMENT, bind, create_index, create_table

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create the table and its indexes, and the row that is locked while events are stored."""
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
        Column("position", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_events"),
    )
    create_index("events", "at")
    create_index("events", "position", unique=True)
    revisions = table("revisions", column("name"), column("value"))
    if bind().execute(select(revisions.c.name).where(revisions.c.name == "events")).first() is None:
        bind().execute(insert(revisions).values(name="events", value=0))
