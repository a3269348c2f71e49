"""Whether a conversation stayed with its account."""

from sqlalchemy import BigInteger, Column, String

from repositories.sql.migrations.steps import add_columns

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns."""
    add_columns(
        "request_logs",
        Column("affinity", String(16)),
        Column("cached_tokens_lost", BigInteger),
    )
