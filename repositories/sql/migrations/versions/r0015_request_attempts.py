"""One row for each attempt of a request."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table and its index."""
    create_table(
        "request_attempts",
        Column("request_id", String(32), nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", MOMENT, nullable=False),
        Column("provider_id", String(64), nullable=False),
        Column("model", String(255), nullable=False),
        Column("account_id", String(32), nullable=False),
        Column("proxy_id", String(32)),
        Column("choice", String(16), nullable=False),
        Column("counter", BigInteger),
        Column("decision_id", String(32)),
        Column("base_url", String(255)),
        Column("status", Integer),
        Column("error_kind", String(64)),
        Column("blame", String(16)),
        Column("message", String(255)),
        Column("rest_scope", String(255)),
        Column("rest_until", MOMENT),
        Column("sent", Boolean, nullable=False),
        Column("first_byte_ms", Double),
        Column("latency_ms", Double, nullable=False),
        PrimaryKeyConstraint("request_id", "number", name="pk_request_attempts"),
    )
    create_index("request_attempts", "at")
