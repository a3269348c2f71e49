"""The one SQL code path: SQLite by default, MySQL or MariaDB in production."""
