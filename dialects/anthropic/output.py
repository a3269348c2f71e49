"""The shape of the answer's text in the Messages format, read and written."""

from typing import Final

from dialects import fields
from dialects.anthropic.write_content import Outgoing
from dialects.fields import dumps
from dialects.output_schema import for_anthropic_output
from models.chat import TEXT_OUTPUT, OutputFormat
from models.json_types import JsonObject
from models.profile import Profile

_ONLY_JSON: Final = "Answer with a single JSON object only: no prose around it, no code fences."
_ONLY_SCHEMA: Final = (
    "Answer with a single JSON value only: no prose around it, no code fences. "
    "It must match this JSON Schema:\n"
)


def read_output(payload: JsonObject) -> OutputFormat:
    """Read `output_config.format`, or `output_format` as older clients send it."""
    if "output_config" not in payload and "output_format" not in payload:
        return TEXT_OUTPUT
    config = fields.optional_mapping(payload, "output_config") or {}
    where, wanted = (
        "output_config.format",
        fields.optional_mapping(config, "format", "output_config"),
    )
    if wanted is None:
        where, wanted = "output_format", fields.optional_mapping(payload, "output_format")
    if wanted is None:
        return TEXT_OUTPUT
    fields.one_of(fields.text(wanted, "type", where), ("json_schema",), f"{where}.type")
    return OutputFormat("json_schema", schema=fields.mapping(wanted, "schema", where))


def write_output(
    output: OutputFormat, profile: Profile, out: Outgoing
) -> tuple[JsonObject, str | None]:
    """Return `output_config`, and what the system text must say where that cannot say it."""
    if output.kind == "text":
        return {}, None
    if output.schema is None:
        out.dropped.append("response_format")
        return {}, _ONLY_JSON
    schema = for_anthropic_output(output.schema) if profile.structured_output else None
    if schema is None:
        out.dropped.append("response_format")
        return {}, _ONLY_SCHEMA + dumps(output.schema).decode()
    return {"format": {"type": "json_schema", "schema": schema}}, None
