import re
from pathlib import Path

from config.keys import KEYS

SOURCES = "\n".join(
    path.read_text() for path in (Path(__file__).parents[2] / "aigateway").glob("*.py")
)

# Read through a property of `Settings` that fills the default in.
PROPERTIES = {
    "database.url": "database_url",
    "redis.url": "redis_url",
    "security.master_key_file": "master_key_file",
}


def test_every_setting_is_read_somewhere() -> None:
    unused = {
        dotted
        for dotted, key in KEYS.items()
        if not re.search(rf"\.{PROPERTIES.get(dotted, key.name)}\b", SOURCES)
    }
    assert unused == set()
