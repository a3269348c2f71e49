import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import aigateway
from tests.conftest import OUR_PACKAGES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ["requirements.lock", "requirements-dev.lock"]

# `.pth` files run at every start of Python; these are known: our own editable install, and
# setuptools', which some versions of Python put into each new environment.
KNOWN_PTH = {"_editable_impl_aigateway.pth", "distutils-precedence.pth"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of all files in the wheel."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")))
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert tops == {*OUR_PACKAGES, f"aigateway-{aigateway.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_our_packages(wheel: list[str]) -> None:
    ours = [
        path.relative_to(ROOT).as_posix()
        for package in OUR_PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sorted(set(ours) - set(wheel)) == []


def test_no_other_distribution_or_standard_module_owns_one_of_our_names() -> None:
    assert sys.stdlib_module_names.isdisjoint(OUR_PACKAGES)
    owners = importlib.metadata.packages_distributions()
    foreign = {name: owners[name] for name in OUR_PACKAGES if name in owners}
    assert foreign in ({}, {name: ["aigateway"] for name in OUR_PACKAGES})
    places = {Path(path) for path in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))}
    assert [
        place / name for place in places for name in OUR_PACKAGES if (place / name).exists()
    ] == []


def test_no_unknown_code_runs_when_python_starts() -> None:
    site_packages = Path(sysconfig.get_path("purelib"))
    started = {path.name for path in site_packages.glob("*.pth")}
    started |= {path.name for path in site_packages.glob("*customize.py")}
    assert started - KNOWN_PTH == set()


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+(?:\[[a-z,]+\])?)==(\S+)", text, re.MULTILINE))


def test_locks_are_not_older_than_what_the_project_asks_for() -> None:
    asked = [PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]]
    fingerprint = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    for lock in LOCKS:
        first = (ROOT / lock).read_text().partition("\n")[0]
        assert first.endswith(f": {fingerprint}"), f"{lock} is stale: run scripts/lock.sh"


def test_the_development_set_is_the_run_time_set_and_more() -> None:
    run_time, development = _pins("requirements.lock"), _pins("requirements-dev.lock")
    assert len(run_time) > 20
    assert {name: development.get(name) for name in run_time} == run_time
    assert "pytest" in development
    assert "pytest" not in run_time


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    for requirement in re.split(r"\n(?=\S)", text)[1:]:
        assert "--hash=sha256:" in requirement, requirement
    assert re.findall(r"^-.*", text, re.MULTILINE) == []


def test_the_environment_is_what_the_lock_says() -> None:
    wrong = {}
    for name, version in _pins("requirements-dev.lock").items():
        try:
            installed = importlib.metadata.version(name.partition("[")[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # locked for another platform or version of Python
        if installed != version:
            wrong[name] = installed
    assert wrong == {}, "run scripts/init.sh --dev"


@pytest.mark.parametrize(
    "script", [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci/run"], ids=lambda p: p.name
)
def test_scripts_are_sound_bash(script: Path) -> None:
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
