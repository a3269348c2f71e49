"""Rows of `request_logs`."""

from dataclasses import fields
from typing import Final

from models.exchange import RequestRecord
from models.usage import Usage
from repositories.sql.bulk import Rows
from repositories.sql.tables import request_logs

_PATHS: Final = {field.name: f"usage.{field.name}" for field in fields(Usage)}

LOGS: Final[Rows[RequestRecord]] = Rows(request_logs, path=lambda name: _PATHS.get(name, name))
