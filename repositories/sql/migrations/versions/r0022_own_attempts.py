"""An only attempt that served at once stands in the row of its request."""

from datetime import UTC

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    String,
    column,
    func,
    insert,
    select,
    table,
)

from repositories.sql.migrations.steps import MOMENT, add_columns, bind

revision = "0022"
down_revision = "0021"

_LOGS = table("request_logs", column("at", DateTime()))
_CURSORS = table("cursors", column("name"), column("value"), column("updated_at", DateTime()))
_NAME = "attempts.forgotten"


def upgrade() -> None:
    """Add the columns. Rows that are there have none of it: nothing is to be forgotten of them."""
    add_columns(
        "request_logs",
        Column("tried_at", MOMENT),
        Column("choice", String(16)),
        Column("counter", BigInteger),
        Column("base_url", String(255)),
        Column("tried_first_byte_ms", Double),
        Column("tried_latency_ms", Double),
        Column("decision_id", String(32)),
    )
    latest = bind().execute(select(func.max(_LOGS.c.at))).scalar()
    known = bind().execute(select(_CURSORS.c.name).where(_CURSORS.c.name == _NAME)).scalar()
    if latest is not None and known is None:
        value = f"{latest.replace(tzinfo=UTC).timestamp():.6f} "
        bind().execute(insert(_CURSORS).values(name=_NAME, value=value, updated_at=latest))
