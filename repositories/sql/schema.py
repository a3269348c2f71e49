"""Which schema this version of the program works with."""

from sqlalchemy import Connection, column, inspect, select, table

from models.errors import StorageUnavailable

HEAD = "0023"
"""The newest revision in `migrations/versions`."""


def check_schema(connection: Connection) -> None:
    """Raise StorageUnavailable unless the schema is the one we were written for."""
    found = current_revision(connection)
    if found == HEAD:
        return
    if found is None:
        raise StorageUnavailable("the database has no tables yet; run `aigateway migrate`")
    if found < HEAD:
        raise StorageUnavailable(
            f"the database has schema {found}, this version needs {HEAD}; run `aigateway migrate`"
        )
    raise StorageUnavailable(
        f"the database has schema {found}, which is newer than this version knows ({HEAD})"
    )


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the schema; None when there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = table("alembic_version", column("version_num"))
    found = connection.execute(select(version.c.version_num)).scalar()
    return None if found is None else str(found)
