"""Client keys, as keyed hashes."""

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "api_keys",
        Column("id", String(32), nullable=False),
        Column("name", String(255), nullable=False),
        Column("key_hash", String(64), nullable=False),
        Column("hint", String(16), nullable=False),
        Column("is_admin", Boolean, nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("expires_at", MOMENT),
        Column("created_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    create_index("api_keys", "key_hash", unique=True)
