"""What a gateway imports from its start to its first answer, as the interpreter tells it."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "an-admin-key-of-the-tests-0123456789"

# Each takes time and memory that a gateway with SQLite, without Redis and without logins saves.
NOT_NEEDED = {
    "alembic",
    "authlib",
    "mako",
    "openapi.document",
    "pygments",
    "pymysql",
    "redis",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
}
OWN = {path.parent.name for path in ROOT.glob("*/__init__.py")}

_IMPORT = re.compile(r"import time:\s+\d+ \|\s+\d+ \|\s+(\S+)")


def asked(port: int) -> int:
    """Ask for a model that nobody has, which still walks the way of requests."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"model": "a-model", "messages": [{"role": "user", "content": "Hello?"}]})
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """The modules imported before the port was open, and those from then to the first answer."""
    folder = tmp_path_factory.mktemp("start")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AIGATEWAY_SECURITY__ADMIN_KEY": ADMIN_KEY,
        "AIGATEWAY_LOGS__FORMAT": "json",
    }
    program = [sys.executable, "-X", "importtime", "-m", "aigateway"]
    subprocess.run([*program, "init"], cwd=folder, env=environ, check=True, capture_output=True)
    process = subprocess.Popen(
        [*program, "serve", "--port", "0"],
        cwd=folder,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    before: set[str] = set()
    for line in process.stderr:
        if found := _IMPORT.match(line):
            before.add(found[1])
        elif "listening" in line:
            break
    try:
        assert asked(json.loads(line)["port"]) == 404
    finally:
        process.terminate()
        _, log = process.communicate(timeout=50)
    return before, {found[1] for found in map(_IMPORT.match, log.splitlines()) if found}


def test_a_start_imports_nothing_that_only_others_need(
    imported: tuple[set[str], set[str]],
) -> None:
    before, after = imported
    assert "services.executor" in before
    assert NOT_NEEDED & (before | after) == set()


def test_the_first_request_waits_for_no_import_of_ours(
    imported: tuple[set[str], set[str]],
) -> None:
    _, after = imported
    assert {name for name in after if name.partition(".")[0] in OWN} == set()
