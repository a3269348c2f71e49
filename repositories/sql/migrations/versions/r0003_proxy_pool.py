"""Outbound proxies."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
)

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "proxy_pool",
        Column("id", String(32), nullable=False),
        Column("label", String(255), nullable=False),
        Column("url", Text, nullable=False),
        Column("url_hash", String(64), nullable=False),
        Column("provider_id", String(64)),
        Column("priority", Integer, nullable=False),
        Column("max_accounts", Integer, nullable=False),
        Column("assigned", Integer, nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_proxy_pool"),
        ForeignKeyConstraint(["provider_id"], ["providers.id"], name="fk_proxy_pool_provider_id"),
    )
    create_index("proxy_pool", "url_hash", unique=True)
    create_index("proxy_pool", "provider_id")
