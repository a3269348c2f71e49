"""Which periodic work ran in which slot."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_table

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "job_runs",
        Column("job", String(64), nullable=False),
        Column("slot", String(64), nullable=False),
        Column("owner", String(128), nullable=False),
        Column("started_at", MOMENT, nullable=False),
        Column("finished_at", MOMENT),
        Column("outcome", String(255)),
        PrimaryKeyConstraint("job", "slot", name="pk_job_runs"),
    )
