"""Wire formats of clients and upstreams: pure codecs, both directions, no IO."""

from collections.abc import Mapping
from typing import Final

from dialects.anthropic import MESSAGES, MESSAGES_COUNT
from dialects.base import Dialect
from dialects.gemini import GEMINI, GEMINI_COUNT
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from dialects.openai_embeddings import EMBEDDINGS
from dialects.openai_responses import RESPONSES, RESPONSES_COUNT

_ALL: Final[tuple[Dialect, ...]] = (
    MESSAGES,
    MESSAGES_COUNT,
    CHAT,
    RESPONSES,
    RESPONSES_COUNT,
    GEMINI,
    GEMINI_COUNT,
    COMPLETIONS,
    EMBEDDINGS,
)

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in _ALL}
"""Every dialect by its name."""
