"""One version of each program: in what is asked for, in what is locked, and in the user's page."""

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "clients.md").read_text(encoding="utf-8")

PROGRAMS = {
    "Claude Code": "@anthropic-ai/claude-code",
    "Codex CLI": "@openai/codex",
    "Gemini CLI": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "AI SDK": "ai",
    "pydantic-ai": "pydantic-ai-slim",
    "LangChain": "langchain-openai",
    "`langchain-anthropic`": "langchain-anthropic",
    "`langchain-google-genai`": "langchain-google-genai",
}
"""How the page calls a program, and how its index does."""

every_group = pytest.mark.parametrize("group", ["agents", "others"])


def asked_for(group: str) -> dict[str, str]:
    """Return the version of each package that a group names."""
    lines = (HERE / group / "requirements.in").read_text()
    of_python = re.findall(r"(?m)^([\w-]+)(?:\[.*\])?==(\S+)$", lines)
    package: dict[str, dict[str, str]] = json.loads((HERE / group / "package.json").read_text())
    return {**dict(of_python), **package["dependencies"]}


@every_group
def test_what_is_locked_is_what_is_asked_for(group: str) -> None:
    lock = json.loads((HERE / group / "package-lock.json").read_text())
    lines = (HERE / group / "requirements.txt").read_text()
    locked = dict(re.findall(r"(?m)^([\w-]+)==(\S+)", lines))
    for place, package in lock["packages"].items():
        locked[place.removeprefix("node_modules/")] = package.get("version", "")
    wanted = asked_for(group)
    assert {name: locked.get(name) for name in wanted} == wanted


def test_the_page_names_the_versions_that_are_run() -> None:
    versions = asked_for("agents") | asked_for("others")
    rows = re.findall(r"(?m)^\| \[?([^\]|]+?)(?:\].*)? \| (\d\S+) \|", PAGE)
    assert dict(rows) == {name: versions[package] for name, package in PROGRAMS.items()}
