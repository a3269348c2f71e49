import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from aigateway import __version__
from aigateway.first_start import prepare
from aigateway.master_key import key_pepper
from aigateway.serving import Refused, check_data_dir
from auth.keys import hash_key, well_formed
from auth.vault import Vault, read_master_key
from config.settings import Settings
from models.clock import SystemClock
from models.principal import ApiKey
from repositories.sql.engine import Database
from repositories.sql.keys import SqlKeys
from tests import chosen

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "canary-admin-key-0123456789-0123456789"

# The command line with a stand-in for the server, which says how it was called.
WITH_STUB = """
import asyncio, os, signal, sys, time, types
from pathlib import Path

async def run_server(settings, *, worker, reuse_port, demo):
    host, port = settings.server.host, settings.server.port
    if os.environ.get("TELL_LOOP"):
        print(type(asyncio.get_running_loop()).__module__.partition(".")[0], flush=True)
    else:
        print(f"{host} {port} worker={worker} reuse_port={reuse_port} demo={demo}", flush=True)
    if os.environ.get("FAIL"):
        raise RuntimeError("broken")
    if os.environ.get("REFUSE"):
        from aigateway.serving import Refused
        raise Refused("it cannot be")
    if worker is not None:
        Path(f"up.{worker}").touch()
        while len(list(Path().glob("up.*"))) < 2:
            time.sleep(0.01)
        os.kill(os.getppid(), signal.SIGTERM)

app = types.ModuleType("aigateway.app")
app.run_server = run_server
sys.modules["aigateway.app"] = app
from aigateway.cli import main
sys.exit(main(sys.argv[1:]))
"""

Outcome = subprocess.CompletedProcess[str]


class Machine:
    """A folder to run the command line in, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **chosen.settings()}

    def run(self, *arguments: str, **environ: str) -> Outcome:
        return self._run("-m", "aigateway", *arguments, **environ)

    def run_with_stub(self, *arguments: str, **environ: str) -> Outcome:
        return self._run("-c", WITH_STUB, *arguments, **environ)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "aigateway", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _run(self, *command: str, **environ: str) -> Outcome:
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=50,
        )

    def keys(self) -> list[ApiKey]:
        """The keys in the SQLite file."""

        async def read() -> list[ApiKey]:
            database = Database(f"sqlite:///{self.data}/aigateway.db")
            try:
                return await SqlKeys(database, SystemClock()).all()
            finally:
                await database.aclose()

        return asyncio.run(read())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh one."""
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def after_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    machine = Machine(tmp_path_factory.mktemp("after_init"))
    assert machine.run("init").returncode == 0
    return machine.data


@pytest.fixture
def ready(tmp_path: Path, after_init: Path) -> Machine:
    """One where `init` was run."""
    shutil.copytree(after_init, tmp_path / "data")
    return Machine(tmp_path)


def is_refused(outcome: Outcome, message: str) -> bool:
    return (
        outcome.returncode == 2
        and message in outcome.stderr
        and outcome.stdout == ""
        and "Traceback" not in outcome.stderr
    )


# --- the line itself ---


def test_help_loads_nothing_heavy(machine: Machine) -> None:
    heavy = "{'aiohttp', 'pydantic', 'sqlalchemy', 'redis', 'yaml', 'asyncio'}"
    script = (
        "import sys, contextlib\nfrom aigateway.cli import main\n"
        f"with contextlib.suppress(SystemExit): main(['--help'])\nprint({heavy} & {{*sys.modules}})"
    )
    outcome = machine._run("-c", script)
    assert outcome.stdout.splitlines()[0].startswith("usage: aigateway")
    assert outcome.stdout.splitlines()[-1] == "set()"


def test_the_version_is_told(machine: Machine) -> None:
    assert machine.run("--version").stdout == f"aigateway {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["keys"],
        ["keys", "create"],
        ["serve", "--workers", "0"],
        ["serve", "--workers", "two"],
        ["serve", "--workers", "65"],
        ["serve", "--workers", "9" * 5000],
    ],
)
def test_arguments_that_cannot_be_used_are_refused(machine: Machine, arguments: list[str]) -> None:
    assert is_refused(machine.run(*arguments), "usage: aigateway")


# --- check-config ---


def test_a_good_configuration_is_shown_with_secrets_masked(machine: Machine) -> None:
    path = machine.folder / "mine.yaml"
    path.write_text("server: {port: 9000}\nredis: {url: 'redis://:canary@host/0'}\n")
    outcome = machine.run("check-config", "mine.yaml", AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    assert outcome.returncode == 0
    assert "\n  port: 9000\n" in outcome.stdout
    assert "redis://:***@host/0" in outcome.stdout
    assert "canary" not in outcome.stdout + outcome.stderr


def test_a_bad_configuration_is_refused_with_all_its_problems(machine: Machine) -> None:
    (machine.folder / "config").mkdir()
    path = machine.folder / "config" / "config.yaml"
    path.write_text("server:\n  prot: 1\nsecurity:\n  admin_key: canary\n")
    for command in (["check-config"], ["serve"], ["init"]):
        outcome = machine.run(*command, AIGATEWAY_REDIS__URL="canary")
        assert outcome.returncode == 2
        assert outcome.stdout == ""
        assert outcome.stderr.splitlines() == [
            "aigateway: the configuration cannot be used:",
            "config/config.yaml:2: server.prot: unknown key (did you mean port?)",
            "config/config.yaml:4: security.admin_key: must have 32 to 512 characters",
            "environment: AIGATEWAY_REDIS__URL: must begin with redis://, rediss:// or unix://",
        ]
    assert not machine.data.exists()


# --- init ---


def test_init_makes_a_machine_ready_and_says_the_first_key_once(machine: Machine) -> None:
    first = machine.run("init")
    assert first.returncode == 0
    key = first.stdout.strip()
    assert well_formed(key)
    vault = Vault.of(read_master_key(machine.data / "master.key"))
    (stored,) = machine.keys()
    assert stored.key_hash == hash_key(key, key_pepper(vault))
    assert (stored.is_admin, stored.is_active, stored.expires_at) == (True, True, None)
    assert key not in first.stderr

    again = machine.run("init")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert machine.keys() == [stored]


def test_what_init_makes_is_private(machine: Machine) -> None:
    assert machine.run("init").returncode == 0
    assert stat.S_IMODE(machine.data.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in machine.data.iterdir()}
    assert {"aigateway.db", "master.key"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_no_secret_lies_in_the_database_as_it_is(machine: Machine) -> None:
    key = machine.run("init").stdout.strip()
    master_key = (machine.data / "master.key").read_text().strip()
    for path in machine.data.glob("aigateway.db*"):
        content = path.read_bytes()
        assert key.encode() not in content
        assert master_key.encode() not in content


def test_no_first_key_is_made_when_one_is_set_from_outside(machine: Machine) -> None:
    outcome = machine.run("init", AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    assert (outcome.returncode, outcome.stdout) == (0, "")
    assert machine.keys() == []
    assert ADMIN_KEY not in outcome.stderr


def test_a_master_key_from_the_environment_needs_no_file(machine: Machine) -> None:
    key = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFE"
    outcome = machine.run("init", AIGATEWAY_SECURITY__MASTER_KEY=key)
    assert outcome.returncode == 0
    assert well_formed(outcome.stdout.strip())
    assert not (machine.data / "master.key").exists()
    assert key not in outcome.stderr


def test_set_ups_at_once_make_one_key(machine: Machine) -> None:
    outcomes = [machine.start("init") for _ in range(4)]
    printed = [outcome.communicate(timeout=50)[0] for outcome in outcomes]
    assert [outcome.returncode for outcome in outcomes] == [0, 0, 0, 0]
    assert len([key for key in printed if key]) == 1
    assert len(machine.keys()) == 1


def test_a_lost_master_key_is_not_replaced(ready: Machine) -> None:
    (ready.data / "master.key").unlink()
    outcome = ready.run("init")
    assert is_refused(outcome, "is missing, but the database holds keys or accounts made with it")
    assert not (ready.data / "master.key").exists()


@pytest.mark.parametrize("command", [["init"], ["serve"], ["keys", "create", "--name", "a"]])
def test_a_master_key_that_others_can_read_is_refused(ready: Machine, command: list[str]) -> None:
    (ready.data / "master.key").chmod(0o640)
    assert is_refused(ready.run(*command), "others may read the master key file")


def test_init_on_mysql_makes_tables_and_a_key(machine: Machine, mysql_url: str) -> None:
    machine.environ["AIGATEWAY_DATABASE__URL"] = mysql_url
    assert well_formed(machine.run("init").stdout.strip())
    assert machine.run("init").stdout == ""
    assert not (machine.data / "aigateway.db").exists()


def test_a_database_that_is_away_is_told_in_a_sentence(machine: Machine) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"mysql://user:canary@127.0.0.1:{closed.getsockname()[1]}/name"
        outcome = machine.run("init", AIGATEWAY_DATABASE__URL=address)
    assert outcome.returncode == 1
    assert (
        "aigateway: the database is unavailable: nothing answers at its address, or not in time"
        in outcome.stderr
    )
    assert "Traceback" not in outcome.stderr
    assert "canary" not in outcome.stderr


def test_a_database_that_refuses_the_user_is_told_in_a_sentence(
    machine: Machine, mysql_url: str
) -> None:
    stranger = make_url(mysql_url).set(username="stranger", password="canary")
    address = stranger.render_as_string(hide_password=False)
    outcome = machine.run("init", AIGATEWAY_DATABASE__URL=address)
    assert outcome.returncode == 1
    assert "the server refuses the user name or the password" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "canary" not in outcome.stderr


def test_serving_on_a_database_that_was_never_made_is_told_in_a_sentence(
    ready: Machine, mysql_url: str
) -> None:
    address = make_url(mysql_url).set(database="aigateway_test_nobody_made_this")
    outcome = ready.run(
        "serve",
        AIGATEWAY_DATABASE__URL=address.render_as_string(hide_password=False),
        AIGATEWAY_SERVER__PORT="0",
    )
    assert outcome.returncode == 1
    assert "no database of this name; `aigateway migrate` makes it" in outcome.stderr
    assert "Traceback" not in outcome.stderr


# --- migrate, keys ---


def test_migrate_can_be_repeated(machine: Machine) -> None:
    for _ in range(2):
        outcome = machine.run("migrate")
        assert outcome.returncode == 0
        assert outcome.stderr.startswith("aigateway: the database has schema ")


def test_keys_are_made_with_the_wanted_rights(ready: Machine) -> None:
    made = ready.run("keys", "create", "--name", "team b", "--admin").stdout.strip()
    plain = ready.run("keys", "create", "--name", "team a").stdout.strip()
    assert well_formed(made)
    assert well_formed(plain)
    shown = [(key.name, key.is_admin, key.hint) for key in ready.keys()[1:]]
    assert shown == [("team b", True, made[-4:]), ("team a", False, plain[-4:])]


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\nb"])
def test_a_name_that_is_none_is_refused(ready: Machine, name: str) -> None:
    outcome = ready.run("keys", "create", "--name", name)
    assert is_refused(outcome, "--name: must be 1 to 200 printable characters")


def test_before_init_there_is_no_key_to_make(machine: Machine) -> None:
    outcome = machine.run("keys", "create", "--name", "a")
    assert is_refused(outcome, "run `aigateway init` for a new installation")


# --- serve ---


def test_several_workers_without_redis_are_refused_with_the_reason(machine: Machine) -> None:
    outcome = machine.run("serve", "--workers", "2")
    assert is_refused(outcome, "--workers 2 needs Redis: several processes share counters")


def test_several_workers_on_a_database_in_memory_are_refused(machine: Machine) -> None:
    outcome = machine.run(
        "serve",
        "--workers",
        "2",
        AIGATEWAY_REDIS__URL="redis://127.0.0.1:1",
        AIGATEWAY_DATABASE__URL="sqlite:///:memory:",
    )
    assert is_refused(outcome, "database.url names one in memory")


def test_the_demo_in_several_workers_is_refused(machine: Machine) -> None:
    outcome = machine.run(
        "serve", "--demo", "--workers", "2", AIGATEWAY_REDIS__URL="redis://127.0.0.1:1"
    )
    assert is_refused(outcome, "--demo runs in one process")


def test_serving_without_a_set_up_is_refused(machine: Machine) -> None:
    assert is_refused(machine.run("serve"), "run `aigateway init` for a new installation")


def test_serving_others_without_an_admin_key_is_refused(machine: Machine) -> None:
    machine.run("init", AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    outcome = machine.run_with_stub("serve", "--host", "0.0.0.0")  # noqa: S104 - refused
    assert is_refused(outcome, "which other machines can reach, but there is no admin key")


def test_serving_others_is_fine_with_an_admin_key(machine: Machine) -> None:
    machine.run("init", AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    expected = "0.0.0.0 0 worker=None reuse_port=False demo=False\n"
    arguments = ["serve", "--host", "0.0.0.0", "--port", "0"]  # noqa: S104 - a stub
    outside = machine.run_with_stub(*arguments, AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    assert (outside.returncode, outside.stdout) == (0, expected)
    machine.run("keys", "create", "--name", "a", "--admin")
    stored = machine.run_with_stub(*arguments)
    assert (stored.returncode, stored.stdout) == (0, expected)


def test_options_win_over_settings(ready: Machine) -> None:
    outcome = ready.run_with_stub(
        "serve",
        "--demo",
        "--port",
        "0",
        AIGATEWAY_SERVER__PORT="6",
        AIGATEWAY_SERVER__HOST="localhost",
    )
    assert outcome.stdout == "localhost 0 worker=None reuse_port=False demo=True\n"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_event_loop_is_the_one_that_was_chosen(ready: Machine, loop: str, workers: str) -> None:
    outcome = ready.run_with_stub(
        *("serve", "--port", "0", "--workers", workers),
        AIGATEWAY_REDIS__URL="redis://127.0.0.1:1",
        AIGATEWAY_SERVER__EVENT_LOOP=loop,
        TELL_LOOP="1",
    )
    assert outcome.returncode == 0
    assert outcome.stdout.splitlines() == [loop] * int(workers)


def test_workers_share_the_port_that_was_free(ready: Machine) -> None:
    outcome = ready.run_with_stub(
        "serve", "--port", "0", "--workers", "2", AIGATEWAY_REDIS__URL="redis://127.0.0.1:1"
    )
    assert outcome.returncode == 0
    first, second = sorted(outcome.stdout.splitlines())
    port = int(first.split()[1])
    assert port > 0
    assert first == f"127.0.0.1 {port} worker=0 reuse_port=True demo=False"
    assert second == f"127.0.0.1 {port} worker=1 reuse_port=True demo=False"


def test_a_worker_that_breaks_tells_why_in_its_own_name(ready: Machine) -> None:
    outcome = ready.run_with_stub(
        "serve",
        *("--port", "0", "--workers", "2"),
        AIGATEWAY_REDIS__URL="redis://127.0.0.1:1",
        REFUSE="1",
    )
    assert outcome.returncode == 2
    assert "aigateway: it cannot be" in outcome.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_told_in_a_sentence(ready: Machine, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = ready.run(
            *("serve", "--workers", workers, "--port", port),
            AIGATEWAY_REDIS__URL="redis://127.0.0.1:1",
        )
    assert outcome.returncode == 1
    # Nothing was begun: this line is all that is said.
    assert outcome.stderr == (
        f"aigateway: cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "--host and --port (server.host, server.port) choose another\n"
    )


def test_a_host_that_is_not_here_is_told_in_a_sentence(ready: Machine) -> None:
    outcome = ready.run("serve", "--host", "host.invalid", AIGATEWAY_SECURITY__ADMIN_KEY=ADMIN_KEY)
    assert outcome.returncode == 1
    assert "aigateway: cannot listen on host.invalid port 8088: " in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_data_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the answer of the system is made up here.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(Refused, match="must be readable and writable by the user who serves"):
        prepare(settings, lambda _: None)
    with pytest.raises(Refused, match="AIGATEWAY_DATA_DIR names another"):
        check_data_dir(tmp_path)


def test_a_file_that_may_not_be_read_is_named(ready: Machine) -> None:
    (ready.data / "settings.env").mkdir()
    outcome = ready.run("migrate")
    assert outcome.returncode == 1
    assert outcome.stderr == "aigateway: data/settings.env: Is a directory\n"


def test_what_nobody_expected_keeps_its_traceback(ready: Machine) -> None:
    outcome = ready.run_with_stub("serve", FAIL="1")
    assert outcome.returncode == 1
    assert "RuntimeError: broken" in outcome.stderr
