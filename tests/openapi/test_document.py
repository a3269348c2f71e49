import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate

from aigateway import __version__
from dialects import DIALECTS
from handlers.endpoint import Access, Endpoint
from handlers.listed import listed_endpoints
from models.json_types import Json, JsonObject
from openapi.document import build_document, plain_path
from openapi.files import split

ROOT = Path(__file__).parent.parent.parent
ROUTES = listed_endpoints(DIALECTS, __version__)
DOCUMENT = build_document(ROUTES, __version__)


def member(part: Json, *names: str) -> JsonObject:
    for name in names:
        assert isinstance(part, dict)
        part = part[name]
    assert isinstance(part, dict)
    return part


def operation(route: Endpoint) -> JsonObject:
    return member(DOCUMENT, "paths", plain_path(route.path), route.method.lower())


def references(part: Json) -> Iterator[str]:
    if isinstance(part, dict):
        target = part.get("$ref")
        if isinstance(target, str):
            yield target
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(DOCUMENT)


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    written = {
        (method.upper(), path)
        for path, item in member(DOCUMENT, "paths").items()
        for method in member(item)
    }
    assert written == {(route.method, plain_path(route.path)) for route in ROUTES}
    assert len(written) == len(ROUTES)
    assert ("POST", "/v1/messages") in written
    assert ("GET", "/v1/models/{id}") in written


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_says_what_it_is_who_may_call_it_and_how_it_fails(route: Endpoint) -> None:
    told = operation(route)
    assert told["summary"] == route.summary
    assert told["tags"] == [route.tag]
    assert told["x-access"] == route.access.value
    places = ["bearer", "apiKey", "googleApiKey"] + ["queryKey"] * route.takes_query_key
    assert told["security"] == (
        [] if route.access is Access.PUBLIC else [{name: []} for name in places]
    )
    statuses = set(member(told, "responses"))
    assert str(route.status) in statuses
    if route.dialect is not None:
        assert "default" in statuses
    elif route.access is Access.ADMIN:
        assert {"401", "403"} <= statuses
    assert ("requestBody" in told) is (
        route.request is not None or (route.dialect is not None and route.method == "POST")
    )


def test_operation_ids_are_unique_names() -> None:
    ids = [str(operation(route)["operationId"]) for route in ROUTES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", name) for name in ids)


def test_model_calls_point_to_the_vendors_own_description() -> None:
    messages = member(DOCUMENT, "paths", "/v1/messages", "post")
    chat = member(DOCUMENT, "paths", "/v1/chat/completions", "post")
    assert "anthropic.com" in str(messages["externalDocs"])
    assert "openai.com" in str(chat["externalDocs"])
    assert set(member(chat, "responses", "200", "content")) == {
        "application/json",
        "text/event-stream",
    }


def test_every_reference_has_a_target_and_every_schema_is_used() -> None:
    schemas = set(member(DOCUMENT, "components", "schemas"))
    targets = {
        target.removeprefix("#/components/schemas/")
        for target in references(DOCUMENT)
        if target.startswith("#/components/schemas/")
    }
    assert targets == schemas


def test_bodies_refuse_what_they_do_not_declare() -> None:
    for route in ROUTES:
        for model in (route.request, route.response):
            if model is not None:
                schema = member(DOCUMENT, "components", "schemas", model.__name__)
                assert schema["additionalProperties"] is False, model.__name__


def test_credentials_are_only_written() -> None:
    schemas = member(DOCUMENT, "components", "schemas")
    secret = {"api_key", "token", "refresh_token", "client_secret", "access_token", "auth_data"}
    for name in schemas:
        if name.endswith(("Answer", "List")):
            assert not secret & member(schemas[name], "properties").keys(), name
    assert member(schemas, "ApiKeyData", "properties", "api_key")["writeOnly"] is True


def test_a_patch_promises_no_defaults() -> None:
    schemas = member(DOCUMENT, "components", "schemas")
    patches = [name for name in schemas if name.endswith("Patch")]
    assert len(patches) == 4
    for name in patches:
        assert "required" not in member(schemas, name)
        for facts in member(schemas, name, "properties").values():
            assert "default" not in member(facts), name


def test_paging_is_described_with_its_limits() -> None:
    parameters = member(DOCUMENT, "paths", "/api/v1/accounts", "get")["parameters"]
    assert isinstance(parameters, list)
    limit = member(parameters[0])
    assert (limit["name"], limit["in"], limit["schema"]) == (
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    )


# --- the files ------------------------------------------------------------------------------


def joined(folder: Path) -> JsonObject:
    """Put the files together again, with references as in the one document."""

    def load(path: Path) -> Json:
        return back(yaml.safe_load(path.read_text()))

    def back(part: Json) -> Json:
        if isinstance(part, list):
            return [back(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        moved = {key: back(inner) for key, inner in part.items()}
        target = part.get("$ref")
        if isinstance(target, str) and not target.startswith("#"):
            file, _, rest = target.partition("#")
            name = Path(file).stem
            moved["$ref"] = f"#{rest}" if rest else f"#/components/schemas/{name}"
        return moved

    index = yaml.safe_load((folder / "index.yaml").read_text())
    for group in (index["paths"], index["components"]["schemas"]):
        for name, reference in group.items():
            group[name] = load(folder / reference["$ref"])
    components = index["components"]
    components["responses"] = back(components["responses"])
    return member(index)


def test_the_files_together_are_the_document(tmp_path: Path) -> None:
    for name, text in split(DOCUMENT).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert joined(tmp_path) == DOCUMENT


def test_the_index_file_is_valid_with_its_references() -> None:
    index = ROOT / "openapi" / "index.yaml"
    validate(yaml.safe_load(index.read_text()), base_uri=index.as_uri())


def test_the_files_are_not_stale() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "scripts" / "openapi", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (0, ""), told.stderr


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/v1/models/{id:.+}", "/v1/models/{id}"),
        ("/a/{id}/b", "/a/{id}/b"),
        ("/m/{model:.+}{colon::|%3[Aa]}{method:count}", "/m/{model}:count"),
        ("/m/{model:.+}{colon::|%3[Aa]}{method:one|two}", "/m/{model}:{method}"),
    ],
)
def test_paths_are_shown_without_patterns(path: str, plain: str) -> None:
    assert plain_path(path) == plain
