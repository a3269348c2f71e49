"""Logins that have begun and not ended."""

from sqlalchemy import Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import LONG_TEXT, MOMENT, create_index, create_table

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "oauth_flows",
        Column("id", String(64), nullable=False),
        Column("provider_id", String(64), nullable=False),
        Column("key_id", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("sealed", LONG_TEXT, nullable=False),
        Column("proxy_id", String(32)),
        Column("account_id", String(32)),
        Column("created_at", MOMENT, nullable=False),
        Column("expires_at", MOMENT, nullable=False),
        Column("used_at", MOMENT),
        Column("browser", String(64)),
        Column("outcome", String(64)),
        PrimaryKeyConstraint("id", name="pk_oauth_flows"),
    )
    create_index("oauth_flows", "expires_at")
