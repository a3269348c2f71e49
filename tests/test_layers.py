import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import OUR_PACKAGES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Which files may import a library: paths that start with one of these. The longest name decides.
FENCES: dict[str, tuple[str, ...]] = {
    "aiohappyeyeballs": ("services/wire/",),
    "aiohttp": ("services/aiohttp_transport.py",),
    "aiohttp.http_exceptions": ("handlers/double_names.py",),
    "aiohttp.http_parser": ("handlers/double_names.py",),
    "aiohttp.typedefs": ("aigateway/", "handlers/", "services/aiohttp_transport.py"),
    "aiohttp.web": ("aigateway/", "handlers/"),
    "aiohttp_socks": ("services/aiohttp_transport.py",),
    "alembic": ("repositories/sql/",),
    "apscheduler": ("services/schedule.py",),
    "authlib": ("auth/oauth.py",),
    "httptools": ("services/wire/",),
    "pydantic": ("config/", "openapi/"),
    "pydantic_core": ("config/", "openapi/"),
    "pymysql": ("repositories/sql/",),
    "python_socks": ("services/wire/",),
    "redis": ("repositories/shared_redis.py",),
    "sqlalchemy": ("repositories/sql/",),
    "uvloop": ("aigateway/",),
    "yaml": ("config/", "openapi/"),
}

# Libraries whose types are part of another's interface come with it.
COMPANIONS = {"multidict": "aiohttp", "pydantic_core": "pydantic", "yarl": "aiohttp"}


def _sources() -> list[Path]:
    return [path for package in OUR_PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(source: str) -> Iterator[str]:
    """Yield every module or name a source imports, dotted, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breach(path: str, name: str) -> str | None:
    """Return what is wrong with importing a name in a file, or None."""
    # The parts that `aiohttp.web` is put together from: web_protocol, web_exceptions …
    server = name.replace("aiohttp.web_", "aiohttp.web.")
    matching = [fence for fence in FENCES if f"{server}.".startswith(f"{fence}.")]
    if not matching:
        return None
    fence = max(matching, key=len)
    if path.startswith(FENCES[fence]):
        return None
    return f"{path} imports {name}; only {', '.join(FENCES[fence])} may import {fence}"


def test_libraries_stay_behind_their_fences() -> None:
    breaches = [
        found
        for path in _sources()
        for name in imports(path.read_text())
        if (found := breach(path.relative_to(ROOT).as_posix(), name))
    ]
    assert breaches == []


@pytest.mark.parametrize(
    ("path", "line", "allowed"),
    [
        ("handlers/bodies.py", "from aiohttp import web", True),
        ("handlers/bodies.py", "from aiohttp.web_exceptions import HTTPNotFound", True),
        ("handlers/bodies.py", "from aiohttp import ClientSession, web", False),
        ("services/relay.py", "from aiohttp.web_exceptions import HTTPNotFound", False),
        ("services/relay.py", "import aiohttp.web", False),
        ("services/aiohttp_transport.py", "import aiohttp", True),
        ("services/transport.py", "import aiohttp", False),
        ("repositories/sql/keys.py", "from sqlalchemy.engine import Engine", True),
        ("repositories/open.py", "def f() -> None:\n    import sqlalchemy", False),
        ("services/schedule.py", "import redis.asyncio as redis", False),
        ("models/usage.py", "import redistribution", True),
    ],
)
def test_the_fence_test_sees_every_kind_of_import(path: str, line: str, allowed: bool) -> None:
    breaches = [found for name in imports(line) if (found := breach(path, name))]
    assert (breaches == []) is allowed


def test_the_vocabulary_needs_the_standard_library_only() -> None:
    foreign = {
        (path.name, name)
        for path in (ROOT / "models").rglob("*.py")
        for name in imports(path.read_text())
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names and top != "models"
    }
    assert foreign == set()


def test_every_imported_library_is_a_declared_dependency() -> None:
    names = [re.match(r"[\w-]+", line) for line in PROJECT["project"]["dependencies"]]
    declared = {name.group().lower().replace("_", "-") for name in names if name}
    owners = importlib.metadata.packages_distributions()
    undeclared = set()
    for path in _sources():
        for name in imports(path.read_text()):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in OUR_PACKAGES:
                continue
            library = COMPANIONS.get(top, top)
            if not declared & {name.lower().replace("_", "-") for name in owners.get(library, [])}:
                undeclared.add((path.relative_to(ROOT).as_posix(), top))
    assert undeclared == set()


TOOLS: Final = {"benchmarks", "tests"}
"""Packages that do not ship; they may import everything."""


def test_the_layers_name_every_package_there_is() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    packages = sorted(found - TOOLS)
    contracts = {
        contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]
    }
    layers = re.findall(r"\w+", " ".join(contracts["layers"]["layers"]))
    assert sorted(layers) == packages
    assert PROJECT["tool"]["importlinter"]["root_packages"] == packages
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == packages
    assert PROJECT["tool"]["mypy"]["files"] == sorted(found)
    assert packages == OUR_PACKAGES
    readers = {*packages} - {"aigateway", "config"}
    assert contracts["settings"]["source_modules"] == sorted(readers)


def test_every_directory_of_tests_is_a_package() -> None:
    # Without it, pytest would import tests/models as `models`, in place of ours.
    without = {
        path.parent.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert without == set()


def test_a_package_says_what_it_is_and_exports_nothing_again() -> None:
    registries = {"dialects", "providers"}
    for package in OUR_PACKAGES:
        tree = ast.parse((ROOT / package / "__init__.py").read_text())
        assert ast.get_docstring(tree), package
        if package not in registries:
            assert list(imports(ast.unparse(tree))) == [], package
