"""What all of OpenAI's formats have in common, whatever is asked in them."""

from collections.abc import Sequence

from dialects.base import ErrorBody, ModelEntry
from dialects.openai_chat import catalogue, errors
from models.errors import GatewayError
from models.json_types import JsonObject


class OpenAIFamily:
    """Errors before a stream, model lists, and what keeps a client waiting."""

    models_path = "/models"
    ping = b": ping\n\n"
    forwarded_headers: frozenset[str] = frozenset()
    """None: organisation and project belong to the account, not to the client."""

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """Write an error answer; these formats have its request id in a header only."""
        return errors.encode_error(error)

    def read_models(self, payload: JsonObject) -> list[ModelEntry]:
        return catalogue.read_models(payload)

    def encode_models(self, models: Sequence[ModelEntry]) -> JsonObject:
        return catalogue.encode_models(models)

    def encode_model(self, model: ModelEntry) -> JsonObject:
        return catalogue.encode_model(model)
