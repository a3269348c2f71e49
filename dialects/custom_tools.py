"""Tools that take free text (OpenAI's `custom`), carried as functions.

Only OpenAI knows them. Everywhere else such a tool is a function with one property that holds
the text, and its calls are unwrapped again for clients that declared it.
"""

from collections.abc import Iterable
from typing import Final

from dialects.arguments import read_arguments
from dialects.fields import dumps
from models.chat import Tool
from models.json_types import JsonObject

_KEY: Final = "input"


def wrapped_schema(grammar: JsonObject) -> JsonObject:
    """Return the schema of the function; `grammar` is the tool's `format`, `{}` for any text.

    Nobody but OpenAI holds a model to a grammar, so that the model is told of it.
    """
    text: JsonObject = {"type": "string"}
    if grammar and grammar.get("type") != "text":
        text["description"] = "Must match this format: " + dumps(grammar).decode()
    return {
        "type": "object",
        "properties": {_KEY: text},
        "required": [_KEY],
        "additionalProperties": False,
    }


def wrapped(text: str) -> str:
    """Return arguments of the function that say `text`."""
    return dumps({_KEY: text}).decode()


def unwrapped(arguments: str) -> str:
    """Return the text that arguments say; those of another shape as they are."""
    text = read_arguments(arguments).get(_KEY)
    return text if isinstance(text, str) else arguments


def custom_names(tools: Iterable[Tool]) -> frozenset[str]:
    """Return the names of the tools whose calls must be unwrapped."""
    return frozenset(tool.name for tool in tools if tool.custom is not None)
