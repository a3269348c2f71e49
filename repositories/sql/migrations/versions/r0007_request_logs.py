"""One row for each request."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, PrimaryKeyConstraint, String

from repositories.sql.migrations.steps import MOMENT, create_index, create_table

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table and its indexes."""
    create_table(
        "request_logs",
        Column("id", String(32), nullable=False),
        Column("at", MOMENT, nullable=False),
        Column("client_request_id", String(255)),
        Column("key_id", String(64), nullable=False),
        Column("dialect", String(32), nullable=False),
        Column("model", String(255), nullable=False),
        Column("provider_id", String(64)),
        Column("upstream_model", String(255)),
        Column("account_id", String(32)),
        Column("proxy_id", String(32)),
        Column("stream", Boolean, nullable=False),
        Column("mode", String(16), nullable=False),
        Column("status", Integer, nullable=False),
        Column("error_code", String(64)),
        Column("attempts", Integer, nullable=False),
        Column("input_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("cache_read_tokens", BigInteger),
        Column("cache_write_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
        Column("first_byte_ms", Double),
        Column("latency_ms", Double, nullable=False),
        PrimaryKeyConstraint("id", name="pk_request_logs"),
    )
    create_index("request_logs", "at", "id")
    for column in ("account_id", "provider_id", "key_id", "proxy_id"):
        create_index("request_logs", column, "at")
