"""Failures of the drivers, translated into ours. Foreign exceptions end here."""

import logging

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from models.errors import Conflict, GatewayError, StorageUnavailable, Unprocessable

logger = logging.getLogger(__name__)

# MySQL and MariaDB: deadlock, lock wait timeout, record changed since last read; and a savepoint
# that is gone, because the transaction around it was rolled back for one of these.
_ROLLED_BACK = frozenset({1213, 1205, 1020, 1305})
_UNIQUE = frozenset({1062, 1586, "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_MISSING_TABLE = frozenset({1146})
# Too long, out of range, not a string of the column's character set, not a time.
_UNFIT = frozenset({1264, 1265, 1292, 1366, 1406, "SQLITE_TOOBIG", "SQLITE_MISMATCH"})
# What an operator can mend, by error.
_CAUSES: dict[int | str, str] = {
    1040: "the server has no connection left; raise its max_connections or lower pool_size",
    1044: "the user may not use this database",
    1045: "the server refuses the user name or the password",
    1049: "the server has no database of this name; `aigateway migrate` makes it",
    1130: "the server lets nobody in from this machine",
    1698: "the server refuses the user name or the password",
    2003: "nothing answers at its address, or not in time",
    2013: "the connection was lost",
    "SQLITE_CANTOPEN": "its file cannot be opened; is its folder there and writable?",
    "SQLITE_CORRUPT": "its file is damaged; restore a backup",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "its file is not a SQLite database",
    "SQLITE_READONLY": "its file is read-only for this user",
    "SQLITE_READONLY_DIRECTORY": "its folder is read-only for this user",
}


def error_code(error: BaseException) -> int | str | None:
    """Return MySQL's error number or SQLite's error name, if there is one."""
    origin = error.orig if isinstance(error, StatementError) else error
    name = getattr(origin, "sqlite_errorname", None)
    if isinstance(name, str):
        return name
    code = origin.args[0] if origin is not None and origin.args else None
    return code if isinstance(code, int) else None


def is_rolled_back(error: BaseException) -> bool:
    """Tell whether the server rolled back for the sake of another: run again and it may pass."""
    return error_code(error) in _ROLLED_BACK


def translated(error: Exception) -> GatewayError:
    """Return the error of ours that says what happened, without any value of the statement."""
    code = error_code(error)
    if isinstance(error, StatementError) and isinstance(error.orig, GatewayError):
        return error.orig
    if code in _UNIQUE:
        return Conflict("it exists already: a value that must be unique is taken")
    if isinstance(error, IntegrityError):
        return Conflict("it refers to something that does not exist, or is referred to")
    if code in _UNFIT or not isinstance(error, SQLAlchemyError):
        return Unprocessable("a value does not fit into the database: too long, large or not text")
    if code in _MISSING_TABLE or (code == "SQLITE_ERROR" and "no such table" in str(error)):
        return StorageUnavailable("the database has no tables yet; run `aigateway migrate`")
    logger.warning("database failed", extra={"error_code": code, "error": type(error).__name__})
    if isinstance(error, DBAPIError) and type(error).__name__ == "ProgrammingError":
        return GatewayError(f"the database refused a statement of ours (error {code})")
    return StorageUnavailable(f"the database is unavailable{_cause(code)}", retry_after_s=2)


def _cause(code: int | str | None) -> str:
    if code is None:
        return ""
    known = _CAUSES.get(code)
    return f" (error {code})" if known is None else f": {known} (error {code})"
