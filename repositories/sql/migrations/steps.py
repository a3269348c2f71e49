"""Statements that a revision may repeat.

DDL of MySQL and MariaDB is not transactional: after a crash a revision runs again although some
of its statements are done. Each of these does nothing when its work is there already.
"""

from alembic import op
from sqlalchemy import Column, Connection, DateTime, Text, inspect, literal_column
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import Constraint

MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def create_table(name: str, *parts: "Column[object] | Constraint") -> None:
    """Create a table as all of ours are: InnoDB, text compared byte by byte."""
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_row_format="DYNAMIC",
    )


def create_index(table: str, *columns: str, unique: bool = False) -> None:
    """Create an index named by its columns."""
    name = f"ix_{table}_{'_'.join(columns)}"
    # MySQL knows no CREATE INDEX IF NOT EXISTS.
    if name not in {index["name"] for index in inspect(bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns), unique=unique)


def narrow_index(table: str, *columns: str) -> None:
    """Leave rows without the first column out of an index, where the database can: in SQLite."""
    if bind().dialect.name != "sqlite":
        return
    name = f"ix_{table}_{'_'.join(columns)}"
    op.drop_index(name, table, if_exists=True)
    op.create_index(
        name, table, list(columns), sqlite_where=literal_column(columns[0]).is_not(None)
    )


def add_columns(table: str, *columns: "Column[object]") -> None:
    """Add columns to a table that has rows: each may be empty or has a default."""
    known = {column["name"] for column in inspect(bind()).get_columns(table)}
    for column in columns:
        if column.name not in known:
            op.add_column(table, column)


def bind() -> Connection:
    """Return the connection that the revision runs on."""
    return op.get_bind()
