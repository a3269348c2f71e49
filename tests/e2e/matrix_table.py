"""The table of the SDK matrix: how many scenarios passed in each cell.

A plugin of its own: where several processes run the tests, the one that tells how they went loads
no conftest but the topmost.
"""

from collections import defaultdict

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, when the matrix was run."""
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
    sdks, targets = ({*names} for names in zip(*counts, strict=True))
    columns = sorted(targets)
    terminalreporter.section("official SDKs x providers: passed of all")
    terminalreporter.write_line("".join(["".ljust(12), *(name.rjust(20) for name in columns)]))
    for sdk in sorted(sdks):
        row = [counts[sdk, target] for target in columns]
        told = [f"{passed}/{total}".rjust(20) for passed, total in row]
        terminalreporter.write_line(sdk.ljust(12) + "".join(told))
