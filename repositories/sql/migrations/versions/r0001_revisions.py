"""The number that grows with every change of what requests read."""

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

from repositories.sql.migrations.steps import bind, create_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "revisions",
        Column("name", String(64), nullable=False),
        Column("value", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_revisions"),
    )
    revisions = table("revisions", column("name"), column("value"))
    if bind().execute(select(revisions.c.name).where(revisions.c.name == "config")).first() is None:
        bind().execute(insert(revisions).values(name="config", value=0))
