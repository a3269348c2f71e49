"""The Messages format of Anthropic: see `dialect.MESSAGES` and `count.MESSAGES_COUNT`."""

from dialects.anthropic.count import MESSAGES_COUNT as MESSAGES_COUNT
from dialects.anthropic.dialect import MESSAGES as MESSAGES
