"""The programs that install.sh installed, and how one runs with only the gateway in reach."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests import servers

# Nothing listens there: what is not on loopback cannot be reached.
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Finished:
    """A program that ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """Everything it wrote, for the message of a failed assertion."""
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


def installed(group: str) -> Path:
    """Return the folder of a group of programs, `agents` or `others`; without it the test ends."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = os.environ.get("AIGATEWAY_TEST_CLIENTS") or Path(cache) / "aigateway-test-clients"
    folder = Path(place) / group
    if not (folder / "installed").exists():
        servers.missing(f"tests/clients/install.sh {group} was not run")
    return folder


async def run(
    group: str,
    program: str,
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] = {},
    limit_s: float = 45,
) -> Finished:
    """Run a program of a group in `folder/work`, with a home of its own in `folder/home`.

    `program` is a path in the group's folder. Whatever it started is killed when it ends, or
    after `limit_s`, which raises TimeoutError.
    """
    place = installed(group)
    command = [str(place / program), *arguments]
    environ = {**_environment(place, folder), **environment}
    work = folder / "work"
    work.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


def _environment(place: Path, folder: Path) -> dict[str, str]:
    """Nothing of the developer's: no settings, no keys, no home."""
    home = folder / "home"
    for name in ("", "cache", "config", "data", "state", "tmp"):
        (home / name).mkdir(exist_ok=True)
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
    here = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    return {
        "PATH": os.pathsep.join([str(place / "node"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        **nowhere,
        **here,
    }


def written(file: Path, text: str) -> Path:
    """Write a file and the folders that it lies in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
