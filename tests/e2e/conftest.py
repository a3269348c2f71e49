"""One gateway for the whole matrix of a worker, and the table of what passed."""

import base64
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.e2e.cells import TARGETS, Cell, clear, open_matrix
from tests.e2e.harness import Rig
from tests.e2e.sdks import SDKS


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_matrix(tmp_path_factory.mktemp("matrix")) as rig:
        yield rig


@pytest.fixture(scope="session")
def png() -> str:
    """A picture in base64, with letters that are others in the alphabet for URLs."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()


@pytest_asyncio.fixture(loop_scope="session")
async def cell(
    matrix: Rig, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Cell:
    """One SDK in front of one provider; nothing is left of the test before."""
    sdk, target, stream = request.param
    record_property("cell", f"{sdk} {target}")
    await clear(matrix)
    return Cell(matrix, sdk, SDKS[sdk], target, TARGETS[target], stream)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many scenarios passed in each cell, when the matrix was run."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            # Reports of files that could not be collected have none.
            cell = dict(getattr(report, "user_properties", ())).get("cell")
            if cell is not None and (report.when == "call" or outcome == "error"):
                sdk, target = str(cell).split(" ")
                counts[sdk, target][0] += outcome == "passed"
                counts[sdk, target][1] += 1
    if not counts:
        return
    terminalreporter.section("official SDKs x providers: passed of all")
    terminalreporter.write_line("".join(["".ljust(12), *(name.rjust(20) for name in TARGETS)]))
    for sdk in SDKS:
        row = [counts[sdk, target] for target in TARGETS]
        told = [f"{passed}/{total}".rjust(20) for passed, total in row]
        terminalreporter.write_line(sdk.ljust(12) + "".join(told))
