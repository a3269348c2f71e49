"""The tables, in SQL that SQLite, MariaDB 10.6 and MySQL 8 have in common.

They are made by the migrations; how, on a server, is said in `migrations/steps.py`. What is said of
one kind of database here imports SQLAlchemy's module for it, so only types that are used there do.

Every text column compares byte by byte (`utf8mb4_bin`), as SQLite does. Times are UTC. JSON is
kept as text. Credentials are sealed for their place (`auth/vault.py`).
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)

_MYSQL = ("mysql", "mariadb")
_EPOCH = datetime(1970, 1, 1)
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The latest moment that a column holds, epoch seconds."""


class Moment(TypeDecorator[float]):
    """Epoch seconds outside, a UTC time with microseconds inside."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name not in _MYSQL:
            return dialect.type_descriptor(DateTime())
        from sqlalchemy.dialects import mysql

        # DATETIME alone would round to whole seconds there.
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def process_bind_param(self, value: float | None, dialect: Dialect) -> datetime | None:
        return None if value is None else to_datetime(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> float | None:
        return None if value is None else value.replace(tzinfo=UTC).timestamp()


class LongText(TypeDecorator[str]):
    """Text of up to 16 MiB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        if dialect.name not in _MYSQL:
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects import mysql

        # TEXT alone holds 64 KiB there.
        return dialect.type_descriptor(mysql.MEDIUMTEXT())


def to_datetime(epoch_s: float) -> datetime:
    """Return the UTC time without zone; what no column can hold becomes the nearest that it can."""
    # `min` and `max` in this order turn NaN into the earliest.
    return _EPOCH + timedelta(seconds=max(0.0, min(epoch_s, LATEST)))


def _table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


providers = _table(
    "providers",
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("dialect", String(64), nullable=False),
    Column("base_url", String(2048)),
    Column("prefixes", Text),
    Column("is_builtin", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("strategy", String(32)),
)

proxy_pool = _table(
    "proxy_pool",
    Column("id", String(32), primary_key=True),
    Column("label", String(255), nullable=False),
    Column("url", Text, nullable=False),
    Column("url_hash", String(64), nullable=False),
    Column("provider_id", String(64), ForeignKey("providers.id")),
    Column("priority", Integer, nullable=False),
    Column("max_accounts", Integer, nullable=False),
    Column("assigned", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("exit_address", String(64)),
    Column("exit_country", String(8)),
    Column("checked_at", Moment),
    Column("check_error", String(255)),
    Column("latency_ms", Double),
    Index(None, "url_hash", unique=True),
    Index(None, "provider_id"),
)

accounts = _table(
    "accounts",
    Column("id", String(32), primary_key=True),
    Column("provider_id", String(64), ForeignKey("providers.id"), nullable=False),
    Column("label", String(255), nullable=False),
    Column("auth_type", String(16), nullable=False),
    Column("auth_data", LongText, nullable=False),
    Column("metadata", LongText, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("models", LongText),
    Column("egress_policy", String(16), nullable=False),
    Column("egress_status", String(16), nullable=False),
    Column("egress_bound", Boolean, nullable=False),
    Column("proxy_id", String(32), ForeignKey("proxy_pool.id")),
    Column("token_version", Integer, nullable=False),
    Column("token_state", String(16), nullable=False),
    Column("token_error", String(255)),
    Column("expires_at", Moment),
    Column("lease_owner", String(128)),
    Column("lease_until", Moment),
    Column("cooldown_reset_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("max_concurrent", Integer, nullable=False, server_default="0"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("is_draining", Boolean, nullable=False, server_default="0"),
    Column("status_reason", String(255)),
    Column("identity", String(255)),
    Column("draining_since", Moment),
    Column("drain_until", Moment),
    Index(None, "provider_id"),
    Index(None, "proxy_id"),
    Index(None, "egress_status", "id"),
    Index(None, "provider_id", "identity", unique=True),
)

api_keys = _table(
    "api_keys",
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("hint", String(16), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("expires_at", Moment),
    Column("created_at", Moment, nullable=False),
    Index(None, "key_hash", unique=True),
)

provider_models = _table(
    "provider_models",
    Column("provider_id", String(64), ForeignKey("providers.id"), primary_key=True),
    Column("model_id", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("entry", Text, nullable=False),
    Column("fetched_at", Moment, nullable=False),
)

request_logs = _table(
    "request_logs",
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
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
    Column("affinity", String(16)),
    Column("cached_tokens_lost", BigInteger),
    # Of an attempt that was the only one and served at once; see `log_rows.py`.
    Column("tried_at", Moment),
    Column("choice", String(16)),
    Column("counter", BigInteger),
    Column("base_url", String(255)),
    Column("tried_first_byte_ms", Double),
    Column("tried_latency_ms", Double),
    Column("decision_id", String(32)),
    Index(None, "at", "id"),
    # Most rows have neither: in SQLite they cost these indexes nothing.
    Index(None, "client_request_id", sqlite_where=text("client_request_id IS NOT NULL")),
    Index(None, "proxy_id", "at", sqlite_where=text("proxy_id IS NOT NULL")),
    Index(None, "account_id", "at"),
    Index(None, "provider_id", "at"),
    Index(None, "key_id", "at"),
)

proxy_stats = _table(
    "proxy_stats",
    Column("proxy_id", String(32), primary_key=True),
    Column("provider_id", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("latency_ms", Double, nullable=False),
)

revisions = _table(
    "revisions",
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

job_runs = _table(
    "job_runs",
    Column("job", String(64), primary_key=True),
    Column("slot", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("outcome", String(255)),
)

vault_keys = _table(
    "vault_keys",
    Column("kid", String(32), primary_key=True),
    Column("proof", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
)

request_attempts = _table(
    "request_attempts",
    Column("request_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
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
    Column("rest_until", Moment),
    Column("sent", Boolean, nullable=False),
    Column("first_byte_ms", Double),
    Column("latency_ms", Double, nullable=False),
    Index(None, "at"),
)

decisions = _table(
    "decisions",
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("provider_id", String(64), nullable=False),
    Column("model", String(255), nullable=False),
    Column("body", LongText, nullable=False),
    Index(None, "at"),
)

rests = _table(
    "rests",
    Column("subject", String(255), primary_key=True),
    Column("scope", String(255), primary_key=True),
    Column("reason", String(64), nullable=False),
    Column("evidence", String(255), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("trial_at", Moment),
    Column("strikes", Integer, nullable=False),
    Index(None, "until"),
)

quota_windows = _table(
    "quota_windows",
    Column("account_id", String(32), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("window", String(32), primary_key=True),
    Column("used_ratio", Double),
    Column("limit", BigInteger),
    Column("remaining", BigInteger),
    Column("unit", String(16)),
    Column("resets_at", Moment),
    Column("source", String(16), nullable=False),
    Column("confidence", Double, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "updated_at"),
)

events = _table(
    "events",
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("message", String(255), nullable=False),
    Column("provider_id", String(64)),
    Column("account_id", String(32)),
    Column("proxy_id", String(32)),
    Column("details", LongText, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index(None, "at"),
    Index(None, "position", unique=True),
)

oauth_flows = _table(
    "oauth_flows",
    Column("id", String(64), primary_key=True),
    Column("provider_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sealed", LongText, nullable=False),
    Column("proxy_id", String(32)),
    Column("account_id", String(32)),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("browser", String(64)),
    Column("outcome", String(64)),
    Index(None, "expires_at"),
)

cursors = _table(
    "cursors",
    Column("name", String(64), primary_key=True),
    Column("value", String(64), nullable=False),
    Column("updated_at", Moment, nullable=False),
)
