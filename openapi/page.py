"""The document as a page for people: plain HTML, readable without style and without script."""

from collections.abc import Mapping
from html import escape

from models.json_types import Json, JsonObject
from openapi.schema_table import inline, meaning_html, schema_html, type_html

_HTTP_METHODS = ("get", "post", "patch", "put", "delete")


def render(document: JsonObject, style: str) -> str:
    """Return the page. `style` is put into it, so that nothing else needs to be loaded."""
    info = _object(document["info"])
    title = f"{info['title']} {info['version']}"
    groups = _groups(document)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} API reference</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'{_header(info)}\n<div class="columns">\n{_navigation(groups)}\n'
        f'<main id="content">\n{_introduction()}\n'
        + "\n".join(_group(name, text, operations, document) for name, text, operations in groups)
        + f"\n{_schemas(document)}\n</main>\n</div>\n</body>\n</html>\n"
    )


Operation = tuple[str, str, JsonObject]
"""Method, path and what the document says of it."""
Group = tuple[str, str, list[Operation]]
"""A tag, what it means, and its operations."""


def _groups(document: JsonObject) -> list[Group]:
    operations: list[Operation] = [
        (method, path, _object(_object(item)[method]))
        for path, item in _object(document["paths"]).items()
        for method in _HTTP_METHODS
        if method in _object(item)
    ]
    groups: list[Group] = []
    for tag in _list(document["tags"]):
        facts = _object(tag)
        name = str(facts["name"])
        its = [entry for entry in operations if name in _list(entry[2]["tags"])]
        groups.append((name, str(facts.get("description", "")), its))
    return groups


def _header(info: JsonObject) -> str:
    return (
        f'<header class="top"><h1>{escape(str(info["title"]))} '
        f'<span class="version">{escape(str(info["version"]))}</span></h1>'
        f"<p>{inline(str(info.get('description', '')))}</p>"
        '<p><a href="/openapi.json">OpenAPI document</a></p></header>'
    )


def _navigation(groups: list[Group]) -> str:
    items = []
    for name, _, operations in groups:
        links = "".join(
            f'<li><a href="#{_anchor(operation)}">{_method(method)}'
            f"<span>{escape(str(operation['summary']))}</span></a></li>"
            for method, _, operation in operations
        )
        items.append(f'<li><a href="#tag-{name}">{escape(name)}</a><ul>{links}</ul></li>')
    return (
        '<nav aria-label="Operations"><details open><summary>Contents</summary><ul>'
        + "".join(items)
        + '<li><a href="#schemas">schemas</a></li></ul></details></nav>'
    )


def _introduction() -> str:
    return (
        '<section id="access"><h2>Access</h2><p>Give a key as <code>Authorization: Bearer '
        "ak_...</code> or as <code>x-api-key: ak_...</code>; where both come, "
        "<code>x-api-key</code> counts. Times are ISO 8601 in UTC. Lists answer "
        "<code>{data, total, limit, offset}</code>; errors of <code>/api/v1</code> answer "
        "<code>{error: {code, message, details}}</code>.</p></section>"
    )


def _group(name: str, text: str, operations: list[Operation], document: JsonObject) -> str:
    described = "\n".join(_operation(*operation, document) for operation in operations)
    return (
        f'<section id="tag-{name}" class="group"><h2>{escape(name)}</h2>'
        f"<p>{inline(text)}</p>\n{described}\n</section>"
    )


def _operation(method: str, path: str, operation: JsonObject, document: JsonObject) -> str:
    access = str(operation["x-access"])
    return (
        f'<article id="{_anchor(operation)}"><h3>{_method(method)} '
        f'<code class="path">{_breakable(path)}</code></h3>'
        f'<p class="summary">{inline(str(operation["summary"]))}</p>'
        f'<p class="access access-{access}">{inline(str(operation["description"]))}'
        f"{_docs(operation)}</p>"
        f"{_parameters(operation)}{_request(operation)}{_responses(operation, document)}</article>"
    )


def _docs(operation: JsonObject) -> str:
    docs = operation.get("externalDocs")
    if not isinstance(docs, dict):
        return ""
    return f' See <a href="{escape(str(docs["url"]))}">{escape(str(docs["description"]))}</a>.'


def _parameters(operation: JsonObject) -> str:
    rows = []
    for parameter in _list(operation.get("parameters", [])):
        facts = _object(parameter)
        schema = _object(facts["schema"])
        notes = [inline(str(facts.get("description", ""))), meaning_html(schema)]
        rows.append(
            f'<tr><th scope="row"><code>{escape(str(facts["name"]))}</code></th>'
            f"<td>{escape(str(facts['in']))}</td><td>{type_html(schema)}</td>"
            f"<td>{' '.join(notes).strip()}</td></tr>"
        )
    if not rows:
        return ""
    return _table("Parameters", ("Name", "In", "Type", "Meaning"), rows)


def _request(operation: JsonObject) -> str:
    if "requestBody" not in operation:
        return ""
    return f"<h4>Body</h4><p>{_content(_object(operation['requestBody']))}</p>"


def _responses(operation: JsonObject, document: JsonObject) -> str:
    rows = []
    for status, response in _object(operation["responses"]).items():
        facts = _resolved(_object(response), document)
        rows.append(
            f'<tr><th scope="row"><code>{escape(status)}</code></th>'
            f"<td>{inline(str(facts['description']))}</td><td>{_content(facts)}</td></tr>"
        )
    return _table("Answers", ("Status", "Meaning", "Body"), rows)


def _table(caption: str, heads: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _content(holder: JsonObject) -> str:
    parts = [
        f"<code>{escape(kind)}</code> {type_html(_object(_object(facts)['schema']))}"
        for kind, facts in _object(holder.get("content", {})).items()
    ]
    return "<br>".join(parts)


def _schemas(document: JsonObject) -> str:
    schemas = _object(_object(document["components"])["schemas"])
    shown = "\n".join(
        f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        f"{schema_html(_object(schema))}</article>"
        for name, schema in schemas.items()
    )
    return f'<section id="schemas" class="group"><h2>schemas</h2>\n{shown}\n</section>'


def _resolved(response: JsonObject, document: JsonObject) -> JsonObject:
    name = str(response.get("$ref", "")).rpartition("/")[2]
    if not name:
        return response
    return _object(_object(_object(document["components"])["responses"])[name])


def _method(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _breakable(path: str) -> str:
    return escape(path).replace("/", "/<wbr>")


def _anchor(operation: Mapping[str, Json]) -> str:
    return escape(str(operation["operationId"]))


def _object(part: Json) -> JsonObject:
    assert isinstance(part, dict)  # noqa: S101 - for the type checker
    return part


def _list(part: Json) -> list[Json]:
    assert isinstance(part, list)  # noqa: S101 - for the type checker
    return part
