"""OpenAI's Responses format: see `dialect.RESPONSES` and `count.RESPONSES_COUNT`."""

from dialects.openai_responses.count import RESPONSES_COUNT as RESPONSES_COUNT
from dialects.openai_responses.dialect import RESPONSES as RESPONSES
