"""The Chat format of OpenAI and of the many servers that speak it: see `dialect.CHAT`."""

from dialects.openai_chat.dialect import CHAT as CHAT
