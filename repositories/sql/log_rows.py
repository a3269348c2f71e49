"""Rows of `request_logs`."""

from dataclasses import fields
from operator import attrgetter
from typing import Final

from models.exchange import RequestRecord
from models.usage import Usage
from repositories.sql.bulk import Rows
from repositories.sql.tables import request_logs

LOGS: Final[Rows[RequestRecord]] = Rows(
    request_logs,
    {field.name: attrgetter(f"usage.{field.name}") for field in fields(Usage)},
)
