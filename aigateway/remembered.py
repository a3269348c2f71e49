"""The addresses that `scripts/init.sh --mysql URL --redis URL` keeps in the data folder.

They count for every command, so that `aigateway keys create` writes where `aigateway serve` reads.
"""

from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "settings.env"
NAMES = frozenset({"AIGATEWAY_DATABASE__URL", "AIGATEWAY_REDIS__URL"})


def with_remembered(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment, and what is remembered where it says nothing.

    A variable that is set but empty counts as set. Raises OSError when the file is there and
    cannot be read.
    """
    path = Path(environ.get("AIGATEWAY_DATA_DIR") or "data") / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return environ
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs if name in NAMES} | dict(environ)
