"""Upstream accounts, their sealed credentials and their places at proxies."""

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Integer, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import LONG_TEXT, MOMENT, create_index, create_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "accounts",
        Column("id", String(32), nullable=False),
        Column("provider_id", String(64), nullable=False),
        Column("label", String(255), nullable=False),
        Column("auth_type", String(16), nullable=False),
        Column("auth_data", LONG_TEXT, nullable=False),
        Column("metadata", LONG_TEXT, nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("models", LONG_TEXT),
        Column("egress_policy", String(16), nullable=False),
        Column("egress_status", String(16), nullable=False),
        Column("egress_bound", Boolean, nullable=False),
        Column("proxy_id", String(32)),
        Column("token_version", Integer, nullable=False),
        Column("token_state", String(16), nullable=False),
        Column("token_error", String(255)),
        Column("expires_at", MOMENT),
        Column("lease_owner", String(128)),
        Column("lease_until", MOMENT),
        Column("cooldown_reset_at", MOMENT),
        Column("created_at", MOMENT, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_accounts"),
        ForeignKeyConstraint(["provider_id"], ["providers.id"], name="fk_accounts_provider_id"),
        ForeignKeyConstraint(["proxy_id"], ["proxy_pool.id"], name="fk_accounts_proxy_id"),
    )
    create_index("accounts", "provider_id")
    create_index("accounts", "proxy_id")
    create_index("accounts", "egress_status", "id")
