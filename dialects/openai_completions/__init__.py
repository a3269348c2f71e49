"""OpenAI's legacy text completions: see `dialect.COMPLETIONS`."""

from dialects.openai_completions.dialect import COMPLETIONS as COMPLETIONS
