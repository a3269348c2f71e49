"""What README and docs name exists: settings, routes, commands, files, log lines, error codes."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigateway import __version__
from aigateway.cli import _parser
from config.keys import KEYS, SECTIONS, VARIABLES
from dialects import DIALECTS
from handlers.listed import listed_endpoints
from models.errors import ErrorKind, GatewayError
from openapi.document import plain_path
from providers.verdicts import verdict_for

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = [
    path
    for folder in ("aigateway", "config", "repositories", "scripts", "services")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sh"}
]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_of(page: Path) -> Iterator[str]:
    """Return every code block and code span of a page."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"(?s)```\w*\n(.*?)```", text)
    prose = re.sub(r"(?s)```.*?```", "", text)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


@every_page
def test_settings_exist(page: Path) -> None:
    used = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    text = page.read_text(encoding="utf-8")
    variables = set(re.findall(r"AIGATEWAY_[A-Z_]+[A-Z]", text)) - {"AIGATEWAY_SECTION"}
    assert {name for name in variables if name not in VARIABLES and name not in used} == set()
    dotted = {
        name
        for code in code_of(page)
        for name in re.findall(r"(?<![\w./:@-])([a-z]+\.[a-z_]+)(?![\w./(])", code)
        if name.partition(".")[0] in SECTIONS
    }
    # What looks like a setting and is none: module names such as `tokens.md`.
    assert {name for name in dotted if name not in KEYS and not name.endswith(".md")} == set()


def routes() -> set[str]:
    listed = listed_endpoints(DIALECTS, __version__)
    return {plain_path(endpoint.path) for endpoint in listed}


@every_page
def test_routes_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w}.])/(?:api/v1|v1|health)(?:/[\w{}.-]+)*(?![\w/])", text)
    named = {route.rstrip(".") for route in found} - {"/api/v1", "/v1"}
    behind = set(re.findall(r"\$GATEWAY(/[^\s\"?]+)", text))
    shapes = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route)) for route in routes()]
    unknown = {
        route for route in named | behind if not any(re.fullmatch(shape, route) for shape in shapes)
    }
    assert unknown == set()


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return every command by its words, such as `keys create`."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found[name] = sub
                found.update({f"{name} {rest}": deep for rest, deep in subcommands(sub).items()})
    return found


def test_commands_and_options_exist() -> None:
    commands = subcommands(_parser())
    scripts = {path.name: path.read_text() for path in (ROOT / "scripts").glob("*.sh")}
    called = 0
    for page in PAGES:
        for code in code_of(page):
            lines = code.replace("\\\n", " ").splitlines()
            for line in lines:
                if found := re.match(r"(?:\S*/)?aigateway ((?:[a-z-]+ ?)+)", line):
                    words = found[1].split()
                    name = next(
                        (" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in commands), ""
                    )
                    assert name, f"{page.name}: {line}"
                    known = " ".join(commands[name]._option_string_actions)
                elif found := re.match(r"(?:[\w=./]+ )*(?:\S*/)?(\w+\.sh)\b", line):
                    assert found[1] in scripts, f"{page.name}: {line}"
                    known = scripts[found[1]]
                    if found[1] == "serve.sh":  # it hands its arguments on
                        known = " ".join(commands["serve"]._option_string_actions)
                else:
                    continue
                called += 1
                wanted = re.findall(r"(?<=\s)--[a-z][a-z-]*", line.partition("#")[0])
                assert [option for option in wanted if option not in known] == [], line
    assert called > 10


@every_page
def test_files_and_folders_exist(page: Path) -> None:
    missing = []
    for code in code_of(page):
        for name in re.findall(r"(?<![\w/.*-])[\w/]+\.(?:py|sh|md|toml)\b", code):
            here = (ROOT / name).exists() or (page.parent / name).exists()
            if not here and ("/" in name or not list(ROOT.glob(f"*/**/{name}"))):
                missing.append(name)
    assert missing == []


def slug(heading: str) -> str:
    """Return the anchor that a heading has on the usual sites."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_file(), target
        assert path.is_relative_to(ROOT), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_page_is_found_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    unlinked = {page.name for page in PAGES[1:] if f"({page.relative_to(ROOT)})" not in text}
    assert unlinked == set()


def section(page: str, heading: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    return re.split(r"^#+ ", found, maxsplit=1, flags=re.MULTILINE)[0]


def rows(table: str) -> Iterator[list[str]]:
    """Return the cells of each row of a table, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_log_lines_are_written_like_that() -> None:
    written = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    named = [
        quoted
        for row in rows(section("docs/operations.md", "Logs"))
        for cell in row
        for quoted in re.findall(r"`([^`]+)`", cell)
    ]
    assert len(named) > 5
    assert [line for line in named if line not in written] == []


def test_every_error_code_is_told_as_it_is() -> None:
    told: dict[str, tuple[str, str]] = {}
    for codes, _status, kind, code, *_ in rows(section("docs/errors.md", "Model routes")):
        names, chat = re.findall(r"`(\w+)`", codes), re.findall(r"`(\w+)`", code)
        for at, name in enumerate(names):
            told[name] = (kind.strip("`"), chat[at] if at < len(chat) else "")
    assert set(told) == {kind.value for kind in ErrorKind}
    for name, (messages, chat_code) in told.items():
        if name == ErrorKind.CANCELLED.value:  # nobody is there to be told
            continue
        error = GatewayError("x", kind=ErrorKind(name), status=500)
        bodies = {
            dialect: json.loads(DIALECTS[dialect].encode_error(error, "id").body)["error"]
            for dialect in DIALECTS
        }
        if ErrorKind(name) is not ErrorKind.PERMISSION:  # told otherwise when it is the provider's
            assert bodies["messages"]["type"] == messages, name
        assert (bodies["chat"]["code"] or "") == chat_code, name


def test_every_status_of_a_provider_s_failure_is_told_as_it_is() -> None:
    for codes, statuses, *_ in rows(section("docs/errors.md", "Model routes")):
        for name in re.findall(r"`(\w+)`", codes):
            status = verdict_for(ErrorKind(name)).status
            is_failure = verdict_for(ErrorKind(name)).kind is ErrorKind(name)
            if is_failure and status is not None and name not in {"timeout", "overloaded"}:
                assert str(status) in statuses, name
