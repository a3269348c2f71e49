"""The document as files that people read and tools take: `index.yaml`, `paths/`, `schemas/`."""

import re
from typing import Final

import yaml

from models.json_types import Json, JsonObject

_HEADER: Final = "# Written by scripts/openapi from the routes and bodies; do not edit.\n"
_SCHEMA: Final = "#/components/schemas/"
_RESPONSE: Final = "#/components/responses/"


def split(document: JsonObject) -> dict[str, str]:
    """Return the text of every file, by its path below `openapi/`."""
    paths, components = _object(document["paths"]), _object(document["components"])
    schemas = _object(components["schemas"])
    files: dict[str, Json] = {}
    for path, item in paths.items():
        files[_path_file(path)] = _moved(item, "../schemas/", "../index.yaml")
    for name, schema in schemas.items():
        files[f"schemas/{name}.yaml"] = _moved(schema, "", "../index.yaml")
    files["index.yaml"] = {
        **document,
        "paths": {path: {"$ref": _path_file(path)} for path in paths},
        "components": {
            **{key: _moved(part, "schemas/", "") for key, part in components.items()},
            "schemas": {name: {"$ref": f"schemas/{name}.yaml"} for name in schemas},
        },
    }
    return {name: _HEADER + _text(content) for name, content in files.items()}


def _path_file(path: str) -> str:
    words = re.findall(r"[A-Za-z0-9.-]+", path) or ["root"]
    return f"paths/{'_'.join(words)}.yaml"


def _moved(part: Json, schemas: str, index: str) -> Json:
    """Return a part of the document with its references as seen from another file."""
    if isinstance(part, list):
        return [_moved(value, schemas, index) for value in part]
    if not isinstance(part, dict):
        return part
    moved = {key: _moved(value, schemas, index) for key, value in part.items()}
    target = part.get("$ref")
    if isinstance(target, str) and target.startswith(_SCHEMA):
        moved["$ref"] = f"{schemas}{target.removeprefix(_SCHEMA)}.yaml"
    elif isinstance(target, str) and target.startswith(_RESPONSE):
        moved["$ref"] = f"{index}{target}"
    return moved


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(content: Json) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _object(part: Json) -> JsonObject:
    assert isinstance(part, dict)  # noqa: S101 - for the type checker
    return part
