from pathlib import Path

from config.keys import KEYS, SECTIONS
from config.reference import reference
from config.settings import Settings
from config.sources import load_settings
from config.yaml_text import MapNode, read_yaml

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "config.yaml"


def test_the_reference_page_is_fresh() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == reference(), "run: python -m config.reference > docs/configuration.md"


def test_the_reference_names_every_key_and_variable() -> None:
    page = reference()
    for key in KEYS.values():
        assert f"### `{key.dotted}`\n" in page
        assert f"`{key.variable}` · " in page


def test_the_sample_holds_every_key_and_no_other() -> None:
    tree = read_yaml(SAMPLE.read_text())
    assert isinstance(tree, MapNode)
    held = {
        section.key: [entry.key for entry in section.value.entries]
        for section in tree.entries
        if isinstance(section.value, MapNode)
    }
    assert held == {section: list(keys) for section, keys in SECTIONS.items()}


def test_the_sample_holds_the_defaults() -> None:
    assert load_settings(SAMPLE, {}) == Settings(data_dir=Path("data").absolute())


def test_the_sample_explains_every_key() -> None:
    lines = SAMPLE.read_text().splitlines()
    for dotted in KEYS:
        name = dotted.partition(".")[2]
        places = [index for index, line in enumerate(lines) if line.startswith(f"  {name}:")]
        assert places, dotted
        assert all(lines[index - 1].startswith("  # ") for index in places), dotted
