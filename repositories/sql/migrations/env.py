"""What alembic runs: our revisions over the connection that `migrate` hands in."""

from alembic import context
from sqlalchemy import Connection

from repositories.sql.tables import metadata


def run(connection: Connection) -> None:
    """Bring the schema up; each revision is committed by itself where DDL can be."""
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=is_sqlite,
        transaction_per_migration=True,
        # SQLite can roll DDL back; MySQL and MariaDB commit at each statement.
        transactional_ddl=is_sqlite,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
