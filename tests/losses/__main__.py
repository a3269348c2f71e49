"""Writes the tables of docs/dialects.md: `python -m tests.losses`."""

from pathlib import Path

from tests.losses.tables import page

_PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"

if __name__ == "__main__":
    _PAGE.write_text(page(_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
