"""How a provider chooses its next account."""

from sqlalchemy import Column, String

from repositories.sql.migrations.steps import add_columns

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column."""
    add_columns("providers", Column("strategy", String(32)))
