"""The command line: `aigateway serve | init | migrate | check-config | keys create`.

Exit codes: 0 done, 2 the configuration or the arguments cannot be used, 1 anything else. What
can be expected to go wrong is told in a sentence, never with a traceback. The heavy parts are
imported by the command that needs them.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigateway import __version__
from aigateway.remembered import with_remembered

if TYPE_CHECKING:
    from config.settings import Settings

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK, EXIT_FAILED, EXIT_CONFIGURATION, EXIT_INTERRUPTED = 0, 1, 2, 130

_MAX_WORKERS = 64

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        return _told(error)


# --- commands ---


def _serve(options: argparse.Namespace) -> int:
    # Imports make much and drop nothing: the collector would only slow them (aigateway/app.py
    # turns it on again). Asking every installed package for plugins of pydantic takes as long.
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from aigateway.serving import serve

    given = {"server.host": options.host, "server.port": options.port}
    chosen = {key: text for key, text in given.items() if text is not None}
    return serve(_settings(chosen), workers=options.workers, demo=options.demo)


def _init(_: argparse.Namespace) -> int:
    from aigateway.first_start import prepare

    key = prepare(_settings(), _note)
    if key is not None:
        _note("first admin key, shown only this once; keep it:")
        print(key)
    return EXIT_OK


def _migrate(_: argparse.Namespace) -> int:
    settings = _settings()
    from repositories.sql.migrate import migrate
    from repositories.sql.schema import HEAD

    migrate(settings.database_url)
    _note(f"the database has schema {HEAD}")
    return EXIT_OK


def _check_config(options: argparse.Namespace) -> int:
    from config.reference import effective
    from config.sources import load_settings

    settings = load_settings(options.file, with_remembered(os.environ))
    print("# ok; these values are in force (secrets masked)")
    print(f"# data folder: {settings.data_dir}")
    print(effective(settings), end="")
    return EXIT_OK


def _create_key(options: argparse.Namespace) -> int:
    settings = _settings()
    from aigateway.client_keys import create_key

    try:
        key = create_key(settings, options.name, is_admin=options.admin)
    except ValueError:
        _complain("--name: must be 1 to 200 printable characters")
        return EXIT_CONFIGURATION
    _note("shown only this once; keep it:")
    print(key)
    return EXIT_OK


def _settings(options: Mapping[str, str] | None = None) -> "Settings":
    """Load the settings and turn logging on by them."""
    from config.logs import configure_logging
    from config.sources import load_settings

    settings = load_settings(None, with_remembered(os.environ), options)
    configure_logging(settings.logs.level, settings.logs.format, secrets=settings.secrets())
    return settings


# --- what is printed ---


def _told(error: Exception) -> int:
    """Tell an expected error and return its exit code; raise any other again."""
    from aigateway.serving import Refused
    from auth.vault import VaultError
    from config.errors import ConfigError
    from models.errors import BadRequest, GatewayError

    match error:
        case ConfigError():
            _complain("the configuration cannot be used:")
            print(error, file=sys.stderr)
            return EXIT_CONFIGURATION
        case Refused():
            _complain(str(error))
            return EXIT_CONFIGURATION
        case VaultError() | BadRequest():
            _complain(error.message)
            return EXIT_CONFIGURATION
        case GatewayError():
            _complain(error.message)
            return EXIT_FAILED
        case OSError():
            _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            return EXIT_FAILED
        case _:
            raise error


def _complain(message: str) -> None:
    print(f"aigateway: {message}", file=sys.stderr)


def _note(message: str) -> None:
    """Say something on standard error: standard output holds results only."""
    print(f"aigateway: {message}", file=sys.stderr)


# --- arguments ---


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aigateway",
        description="A self-hosted account-pool gateway for LLM APIs.",
        epilog="Settings: config/config.yaml or AIGATEWAY_CONFIG, then AIGATEWAY_<SECTION>__<KEY>.",
    )
    parser.add_argument("--version", action="version", version=f"aigateway {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add(commands, "init", _init, "make a fresh machine ready; safe to repeat")
    _add(commands, "migrate", _migrate, "bring the database's schema up to date")
    check = _add(commands, "check-config", _check_config, "check a configuration and show it")
    check.add_argument("file", metavar="FILE", nargs="?", type=Path, help="the file to check")
    keys = commands.add_parser("keys", help="client keys", description="Client keys.")
    create = _add(
        keys.add_subparsers(title="commands", metavar="COMMAND", required=True),
        "create",
        _create_key,
        "make a client key and print it, this once",
    )
    create.add_argument("--name", required=True, help="to tell it from others")
    create.add_argument("--admin", action="store_true", help="let it use /api/v1")
    return parser


def _add_serve(commands: "_Commands") -> None:
    serve = _add(commands, "serve", _serve, "serve until SIGTERM or Ctrl-C")
    serve.add_argument(
        "--workers",
        metavar="N",
        type=_worker_count,
        default=1,
        help="processes that share the port; more than one needs Redis (default 1)",
    )
    serve.add_argument(
        "--demo", action="store_true", help="add a pretend provider with accounts and proxies"
    )
    serve.add_argument("--host", help="address to listen on (server.host)")
    serve.add_argument("--port", help="port to listen on (server.port)")


def _add(
    commands: "_Commands", name: str, command: Command, description: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=description, description=f"{description[0].upper()}{description[1:]}."
    )
    parser.set_defaults(command=command)
    return parser


def _worker_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_MAX_WORKERS}")
    return int(text)
