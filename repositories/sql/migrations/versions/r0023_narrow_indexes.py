"""In SQLite, rows without a client's id or a proxy are in no index of these."""

from repositories.sql.migrations.steps import narrow_index

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Make the indexes anew. MySQL has no such ones."""
    narrow_index("request_logs", "client_request_id")
    narrow_index("request_logs", "proxy_id", "at")
