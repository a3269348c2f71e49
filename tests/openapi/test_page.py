import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from dialects import DIALECTS
from handlers.listed import listed_endpoints
from openapi.document import build_document
from openapi.page import render
from tests.handlers.api import Api
from tests.handlers.conftest import api as api  # pytest finds it here

VOID = {"meta", "br", "wbr", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Reads a page strictly: every element that opens closes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if (name := values.get("id")) is not None:
            self.ids.append(name)
        if (target := values.get("href")) is not None:
            self.links.append(target)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(api: Api) -> None:
    told = await api.get("/docs")
    assert told.status == 200
    assert told.headers["Content-Type"] == "text/html; charset=utf-8"
    outline = Outline(told.text)
    assert not outline.tags & {"script", "link", "img", "iframe", "form", "object"}
    assert not {name for name in outline.attributes if name.startswith("on") or name == "style"}
    assert "@import" not in told.text
    assert "url(" not in told.text


async def test_the_policy_allows_the_one_style_sheet_and_nothing_else(api: Api) -> None:
    told = await api.get("/docs")
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in told.headers["Content-Security-Policy"].split(";")
    )
    [style] = re.findall(r"<style>(.*?)</style>", told.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


async def test_the_page_can_be_walked_through(api: Api) -> None:
    outline = Outline((await api.get("/docs")).text)
    assert len(set(outline.ids)) == len(outline.ids)
    inside = {link.removeprefix("#") for link in outline.links if link.startswith("#")}
    assert inside <= set(outline.ids)
    assert {"main", "nav", "h1", "h2", "h3"} <= outline.tags


async def test_openapi_json_is_public_and_the_same_as_the_page_shows(api: Api) -> None:
    told = await api.get("/openapi.json")
    assert (told.status, told.headers["Content-Type"]) == (200, "application/json")
    page = (await api.get("/docs")).text
    paths = told.json["paths"]
    assert isinstance(paths, dict)
    assert "/api/v1/accounts/{id}/reset" in paths
    for path in paths:
        assert path.replace("/", "/<wbr>") in page


@pytest.mark.parametrize("words", ["<script>alert(1)</script>", '"><img src=x onerror=y>'])
def test_words_of_the_document_never_become_markup(words: str) -> None:
    document = build_document(listed_endpoints(DIALECTS, words), words)
    outline = Outline(render(document, ""))
    assert not outline.tags & {"script", "img"}
