"""Whether a conversation stayed with its account; requests are found by their clients' ids."""

from sqlalchemy import BigInteger, Column, String

from repositories.sql.migrations.steps import add_columns, create_index

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns and the index."""
    add_columns(
        "request_logs",
        Column("affinity", String(16)),
        Column("cached_tokens_lost", BigInteger),
    )
    create_index("request_logs", "client_request_id")
