"""One suite over SQLite and MariaDB."""
