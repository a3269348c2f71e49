"""Wire formats of clients and upstreams: pure codecs, both directions, no IO."""

from collections.abc import Mapping
from typing import Final

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (MESSAGES, CHAT)}
"""Every dialect by its name: the one line that registers one."""
