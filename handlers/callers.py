"""Whose client calls, where the path alone does not say it."""

from typing import Final

from aiohttp import web

MESSAGES: Final = "messages"
CHAT: Final = "chat"
RESPONSES: Final = "responses"
GEMINI: Final = "gemini"

_BY_PATH: Final = {
    "/v1beta": GEMINI,
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
    "/v1/chat": CHAT,
}
_GOOGLE_HEADERS: Final = ("x-goog-api-key", "x-goog-api-client")


def caller_dialect(request: web.Request) -> str:
    """Return the dialect that the caller understands: by the path, else by its headers.

    Every client of Google's and Anthropic's formats names itself in one way or another; OpenAI's do
    not.
    """
    for path, dialect in _BY_PATH.items():
        if request.path == path or request.path.startswith(path + "/"):
            return dialect
    if "anthropic-version" in request.headers:
        return MESSAGES
    if any(name in request.headers for name in _GOOGLE_HEADERS) or "key" in request.query:
        return GEMINI
    return CHAT


def family(dialect: str) -> str:
    """Return the dialect that one with a longer name belongs to: `gemini` of `gemini.count`."""
    return dialect.partition(".")[0]
