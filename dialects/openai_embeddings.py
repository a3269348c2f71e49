"""OpenAI's embeddings: `POST /v1/embeddings`. They pass raw or not at all.

Vectors of two models have nothing to do with each other, so there is nothing to translate.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

from dialects import fields
from dialects.base import NO_ADDRESS, Dialect, Encoded, Inspected, Operation
from dialects.openai_chat import raw
from dialects.openai_chat.dialect import ChatDialect
from models.chat import ChatRequest
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile

_GUARDED: Final = raw.guarded("input")


class EmbeddingsDialect(ChatDialect):
    """Errors, model lists and usage are those of the Chat format."""

    name = "embeddings"
    operation = Operation.EMBED
    paths: tuple[str, ...] = ("/v1/embeddings",)
    answer_fields = frozenset({"data"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/embeddings"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        asked = raw.routed(body, payload, _GUARDED)
        if payload.get("input") is None:
            raise fields.wrong("input", "a string or a list")
        return asked._replace(stream=False)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        _refuse()

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        _refuse()


EMBEDDINGS: Final[Dialect] = EmbeddingsDialect()


def _refuse() -> NoReturn:
    raise Unrepresentable("embeddings cannot be translated")
