"""The OpenAPI 3.1 document, made from the routes it is given and the bodies beside it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final, Literal, Protocol

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from models.json_types import Json, JsonObject
from openapi.attribute_docs import attribute_docs
from openapi.common import ErrorAnswer
from openapi.fields import Answer, Body, OptionalBody
from openapi.formats import FORMATS, Format

_REF: Final = "#/components/schemas/{model}"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::([^}]*))?\}")
_CHOICE: Final = re.compile(r"\w+(\|\w+)+", re.ASCII)
_LITERAL: Final = re.compile(r"(\w+|:)(\|%.*)?", re.ASCII)
"""A pattern that stands for one text, which may also come percent-encoded."""
_SCHEMES: Final[JsonObject] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "googleApiKey": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
    "queryKey": {"type": "apiKey", "in": "query", "name": "key"},
}

_TAGS: Final = {
    "models": "Model calls, in the formats of the vendors' own clients. Any valid key.",
    "accounts": "Upstream accounts of the pool. Admin keys only, as all of `/api/v1`.",
    "quota": "What is left of the limits of accounts, and when a pool runs dry.",
    "proxies": "Outbound proxies and the accounts that leave through them.",
    "rests": "Who is left alone after failures, for what, until when and why.",
    "providers": "Upstream services: built-in ones and the operator's own.",
    "api-keys": "Keys that clients call the gateway with.",
    "stats": "What was asked, by whom, through what, and what came of it.",
    "requests": "What happened to one request, and where one would go.",
    "events": "What operators want to hear of, as a list and as a stream.",
    "oauth": "Logins of accounts in a browser or on another device, and their tokens.",
    "health": "Whether the gateway serves.",
    "reference": "This reference.",
}
_ERRORS: Final = {
    400: ("BadRequest", "The body is not JSON, or cannot be read."),
    401: ("Unauthorized", "The key is missing or not valid."),
    403: ("Forbidden", "This needs an admin key."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "The change collides with what is stored."),
    413: ("PayloadTooLarge", "The body is too large."),
    415: ("UnsupportedMediaType", "The body is not `application/json`."),
    422: ("Unprocessable", "Fields are wrong; `details.fields` names them."),
    503: ("Unavailable", "The database is away; try again after `Retry-After` seconds."),
}
_ACCESS: Final = {
    "public": "Needs no key.",
    "key": "Needs any valid key.",
    "admin": "Needs an admin key.",
}


class Route(Protocol):
    """What the document must know about a route; `handlers.endpoint.Endpoint` has it all."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def access(self) -> Enum: ...
    @property
    def summary(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def request(self) -> type[object] | None: ...
    @property
    def response(self) -> type[object] | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def status(self) -> int: ...
    @property
    def query(self) -> type[object] | None: ...
    @property
    def dialect(self) -> str | None: ...
    @property
    def takes_query_key(self) -> bool: ...


def build_document(routes: Sequence[Route], version: str) -> JsonObject:
    """Return the document that describes exactly these routes."""
    schemas = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        item = paths.setdefault(plain_path(route.path), {})
        assert isinstance(item, dict)  # noqa: S101 - for the type checker
        item[route.method.lower()] = _operation(route, schemas)
    responses: JsonObject = {name: _error(text) for name, text in _ERRORS.values()}
    used = _reached([paths, responses], schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aigateway",
            "version": version,
            "description": "A pool of accounts behind one address: model calls under `/v1`, "
            "administration under `/api/v1`.",
        },
        "tags": _tags(routes),
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "responses": responses,
            "schemas": {name: schemas[name] for name in sorted(used)},
        },
    }


def plain_path(path: str) -> str:
    """Return the path without aiohttp's patterns: `/v1/models/{id:.+}` is `/v1/models/{id}`."""
    return _PARAMETER.sub(_plain, path)


def _plain(found: re.Match[str]) -> str:
    name, pattern = found.groups()
    literal = _LITERAL.fullmatch(pattern or "")
    return literal[1] if literal is not None else f"{{{name}}}"


def _tags(routes: Sequence[Route]) -> list[Json]:
    used = {route.tag for route in routes}
    unknown = sorted(used - _TAGS.keys())
    return [
        {"name": name, "description": _TAGS.get(name, "")}
        for name in [*_TAGS, *unknown]
        if name in used
    ]


def _schemas(routes: Iterable[Route]) -> dict[str, Json]:
    inputs: dict[type[BaseModel], Literal["validation", "serialization"]] = {
        ErrorAnswer: "serialization"
    }
    for route in routes:
        for model in (route.request, route.query):
            if model is not None and issubclass(model, BaseModel):
                inputs[model] = "validation"
        if route.response is not None and issubclass(route.response, BaseModel):
            inputs[route.response] = "serialization"
    _, definitions = models_json_schema(list(inputs.items()), ref_template=_REF)
    schemas: dict[str, Json] = {}
    models = dict(_named(Body)) | dict(_named(Answer))
    for name, schema in definitions["$defs"].items():
        if name in models:
            _describe(schema.get("properties", {}), attribute_docs(models[name]))
        schemas[name] = _untitled(schema)
    return schemas


def _named(base: type[BaseModel]) -> Iterable[tuple[str, type[BaseModel]]]:
    """Yield what inherits from a model, by the names that pydantic may give it."""
    for heir in base.__subclasses__():
        yield heir.__name__, heir
        yield f"{heir.__module__}.{heir.__qualname__}".replace(".", "__"), heir
        yield from _named(heir)


def _describe(properties: dict[str, JsonObject], texts: Mapping[str, str]) -> None:
    for name, field in properties.items():
        if name in texts:
            properties[name] = dict(sorted({"description": texts[name], **field}.items()))


def _reached(parts: Sequence[Json], schemas: Mapping[str, Json]) -> set[str]:
    """Return the names of the schemas that these parts, or those schemas, refer to."""
    reached: set[str] = set()
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
            name = str(part.get("$ref", "")).removeprefix(_REF.format(model=""))
            if name in schemas and name not in reached:
                reached.add(name)
                waiting.append(schemas[name])
    return reached


def _untitled(schema: Json) -> Json:
    """Drop the titles that pydantic makes of field names: they say nothing."""
    match schema:
        case dict():
            # Under `properties`, `title` would be a field of that name.
            return {
                key: {name: _untitled(inner) for name, inner in value.items()}
                if key == "properties" and isinstance(value, dict)
                else _untitled(value)
                for key, value in schema.items()
                if not (key == "title" and isinstance(value, str))
            }
        case list():
            return [_untitled(value) for value in schema]
        case _:
            return schema


def _operation(route: Route, schemas: dict[str, Json]) -> JsonObject:
    access = str(route.access.value)
    vendor = FORMATS.get(route.dialect or "")
    operation: JsonObject = {
        "operationId": _operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": _ACCESS[access] + (f" {vendor.text}" if vendor else ""),
        "security": [] if access == "public" else _security(route),
        "x-access": access,
    }
    if vendor is not None and vendor.docs is not None:
        operation["externalDocs"] = {"url": vendor.docs, "description": vendor.name}
    if parameters := [*_path_parameters(route), *_query_parameters(route, schemas)]:
        operation["parameters"] = parameters
    if (content := _request_content(route, vendor)) is not None:
        operation["requestBody"] = {"required": not _is_optional(route), "content": content}
    operation["responses"] = {str(route.status): _success(route, vendor), **_errors(route, vendor)}
    return operation


def _is_optional(route: Route) -> bool:
    return isinstance(route.request, type) and issubclass(route.request, OptionalBody)


def _security(route: Route) -> list[Json]:
    """Return the places for a key; one of them suffices."""
    names = [name for name in _SCHEMES if name != "queryKey" or route.takes_query_key]
    return [{name: []} for name in names]


def _operation_id(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", plain_path(route.path))
    return "_".join([route.method.lower(), *words])


def _path_parameters(route: Route) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(pattern)}
        for name, pattern in _PARAMETER.findall(route.path)
        if _LITERAL.fullmatch(pattern) is None
    ]


def _path_schema(pattern: str) -> JsonObject:
    if _CHOICE.fullmatch(pattern) is None:
        return {"type": "string"}
    return {"type": "string", "enum": [*pattern.split("|")]}


def _query_parameters(route: Route, schemas: dict[str, Json]) -> list[Json]:
    if route.query is None:
        return []
    schema = schemas[route.query.__name__]
    properties = schema["properties"] if isinstance(schema, dict) else {}
    assert isinstance(properties, dict)  # noqa: S101 - for the type checker
    parameters: list[Json] = []
    for name, facts in properties.items():
        assert isinstance(facts, dict)  # noqa: S101 - for the type checker
        facts = dict(facts)
        parameter: JsonObject = {"name": name, "in": "query"}
        if (description := facts.pop("description", None)) is not None:
            parameter["description"] = description
        parameters.append({**parameter, "schema": _not_null(facts)})
    return parameters


def _not_null(schema: JsonObject) -> JsonObject:
    """Return the schema without its null: a query string cannot say null."""
    variants = schema.get("anyOf")
    if not isinstance(variants, list):
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    left = [variant for variant in variants if variant != {"type": "null"}]
    if len(left) == 1 and isinstance(left[0], dict):
        return {**left[0], **rest}
    return {"anyOf": left, **rest}


def _request_content(route: Route, vendor: Format | None) -> JsonObject | None:
    if route.request is not None:
        return _json_of(route.request)
    if vendor is not None and route.method == "POST":
        return {"application/json": {"schema": {"type": "object"}}}
    return None


def _success(route: Route, vendor: Format | None) -> JsonObject:
    if route.status == 204:
        return {"description": "Done."}
    answer: JsonObject = {"description": "The answer."}
    if route.response is not None:
        answer["content"] = _json_of(route.response)
    elif route.content_type is not None:
        answer["content"] = {route.content_type: {"schema": {"type": "string"}}}
    elif vendor is not None:
        content: JsonObject = {"application/json": {"schema": {"type": "object"}}}
        if route.method == "POST":
            content["text/event-stream"] = {"schema": {"type": "string"}}
        answer["content"] = content
    return answer


def _errors(route: Route, vendor: Format | None) -> JsonObject:
    if vendor is not None:
        schema: Json = {"type": "object"}
        content: Json = {"application/json": {"schema": schema}}
        return {"default": {"description": "An error in the same format.", "content": content}}
    if str(route.access.value) == "public":
        return {}
    statuses = {401, 403, 503}
    if route.request is not None:
        statuses |= {400, 409, 413, 415, 422}
    if route.method == "DELETE":
        statuses.add(409)
    if route.query is not None:
        statuses.add(422)
    if "{" in route.path:
        statuses.add(404)
    return {
        str(status): {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}
        for status in sorted(statuses)
    }


def _error(text: str) -> Json:
    return {"description": text, "content": _json_of(ErrorAnswer)}


def _json_of(model: type[object]) -> JsonObject:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
