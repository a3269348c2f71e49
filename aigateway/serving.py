"""`aigateway serve`: what is checked before the port opens, and in how many processes."""

import asyncio
import gc
import logging
import os
import resource
import socket
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from aigateway.client_keys import has_admin_key
from aigateway.master_key import open_vault
from aigateway.supervisor import WORKER_VARIABLE, Pauses, reserve_port, run_workers
from config.logs import configure_logging
from config.settings import EventLoop, Settings

logger = logging.getLogger(__name__)

# Beyond the drain: closing connections and writing the last statistics.
_STOP_MARGIN_S = 30.0


class Refused(Exception):
    """The settings are valid by themselves, but not for what was asked."""


def serve(settings: Settings, *, workers: int, demo: bool) -> int:
    """Serve until told to stop; return the exit code. Raises Refused."""
    # Credentials are in our memory: a crash must not write it to a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    check_workers(settings, workers, demo=demo)
    check_data_dir(settings.data_dir)
    open_vault(settings)
    check_address(settings)
    check_port(settings.server.host, settings.server.port)
    if workers > 1:
        return _serve_in_workers(settings, workers)
    return _serve_here(settings, worker=None, demo=demo)


def worker_number(environ: Mapping[str, str]) -> int | None:
    """Return which worker this process is; None when it is no worker."""
    text = environ.get(WORKER_VARIABLE, "")
    if text and not text.isdecimal():
        raise Refused(f"{WORKER_VARIABLE} is set by the supervisor and holds a number")
    return int(text) if text else None


def check_workers(settings: Settings, workers: int, *, demo: bool) -> None:
    """Raise Refused when several processes could not agree with each other."""
    if workers == 1:
        return
    if not settings.redis_url:
        raise Refused(
            f"--workers {workers} needs Redis: several processes share counters, tokens and "
            "cooldowns through it. Set AIGATEWAY_REDIS__URL (redis.url), or serve with one worker"
        )
    if settings.is_database_in_memory:
        raise Refused(
            f"--workers {workers} needs a database that processes can share; "
            "database.url names one in memory"
        )
    if demo:
        raise Refused("--demo runs in one process; leave --workers out")


def check_address(settings: Settings) -> None:
    """Raise Refused when strangers could reach a gateway that nobody can administer."""
    if settings.listens_beyond_loopback and not has_admin_key(settings):
        raise Refused(
            f"server.host is {settings.server.host}, which other machines can reach, but there is "
            "no admin key. Run `aigateway init` or `aigateway keys create --name NAME --admin`, "
            "or set AIGATEWAY_SECURITY__ADMIN_KEY"
        )


def check_data_dir(path: Path) -> None:
    """Raise Refused when this user could not write there: tokens and statistics would be lost."""
    if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise Refused(
            f"the data folder {path} must be readable and writable by the user who serves "
            f"(now uid {os.getuid()}); AIGATEWAY_DATA_DIR names another"
        )


def check_port(host: str, port: int) -> None:
    """Raise OSError, with the way out, when the port cannot be ours."""
    try:
        reserve_port(host, port).close()
    except OSError as error:
        raise OSError(
            f"cannot listen on {host} port {port}: {error.strerror}. "
            "--host and --port (server.host, server.port) choose another"
        ) from error


def _serve_here(settings: Settings, *, worker: int | None, demo: bool) -> int:
    from aigateway.app import run_server

    with asyncio.Runner(loop_factory=_loop_factory(settings.server.event_loop)) as runner:
        runner.run(run_server(settings, worker=worker, reuse_port=worker is not None, demo=demo))
    return 0


def _serve_in_workers(settings: Settings, workers: int) -> int:
    server = settings.server
    with reserve_port(server.host, server.port) as reserved:
        port = reserved.getsockname()[1]
        logger.info("serving", extra={"host": server.host, "port": port, "workers": workers})
        stop_s = server.drain_delay_s + server.drain_timeout_s + _STOP_MARGIN_S
        # Port 0 has become a number, the same for all.
        agreed = settings.model_copy(update={"server": server.model_copy(update={"port": port})})
        _import_for_all(settings)
        work = partial(_work, agreed, reserved)
        return run_workers(workers, work, pauses=Pauses(stop_s=stop_s))


def _import_for_all(settings: Settings) -> None:
    """Import what workers need before they are forked: it is in memory once, and there at once."""
    from repositories.sql.engine import import_driver

    for module in ("aigateway.app", "repositories.shared_redis"):
        import_module(module)
    import_driver(settings.database_url)
    _loop_factory(settings.server.event_loop)
    # The collector would write into every object, and so give each worker a copy of it.
    gc.freeze()
    gc.enable()


def _work(settings: Settings, reserved: socket.socket, index: int) -> int:
    """Be one worker."""
    reserved.close()
    logs = settings.logs
    configure_logging(logs.level, logs.format, secrets=settings.secrets(), worker=index)
    return _serve_here(settings, worker=index, demo=False)


def _loop_factory(chosen: EventLoop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where it is wanted and installed; None means asyncio's own."""
    if chosen == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
