"""The models that providers list."""

from sqlalchemy import Column, ForeignKeyConstraint, Integer, PrimaryKeyConstraint, String, Text

from repositories.sql.migrations.steps import MOMENT, create_table

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "provider_models",
        Column("provider_id", String(64), nullable=False),
        Column("model_id", String(255), nullable=False),
        Column("position", Integer, nullable=False),
        Column("entry", Text, nullable=False),
        Column("fetched_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("provider_id", "model_id", name="pk_provider_models"),
        ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name="fk_provider_models_provider_id"
        ),
    )
