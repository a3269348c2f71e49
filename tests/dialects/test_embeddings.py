"""Embeddings pass raw, or not at all."""

import orjson
import pytest

from dialects.base import Operation
from dialects.openai_embeddings import EMBEDDINGS
from models.chat import ChatRequest
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage


def test_where_it_stands() -> None:
    assert EMBEDDINGS.operation is Operation.EMBED
    assert EMBEDDINGS.paths == ("/v1/embeddings",)
    assert EMBEDDINGS.upstream_path("m", stream=False) == "/embeddings"


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2]]])
def test_whatever_the_provider_may_embed_passes(given: Json) -> None:
    payload: JsonObject = {"model": "m", "input": given, "stream": True}
    asked = EMBEDDINGS.inspect(orjson.dumps(payload), payload)
    assert (asked.model, asked.stream) == ("m", False)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"input":"a"}', "model"),
        (b'{"model":"","input":"a"}', "model"),
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":null}', "input"),
        (b'{"model":"m","input":"a","input":"b"}', "input"),
    ],
)
def test_what_cannot_be_served_is_named(body: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        EMBEDDINGS.inspect(body, orjson.loads(body))
    assert caught.value.path == path


def test_only_the_models_name_is_changed() -> None:
    body = b'{"input": ["a"], "model": "a/m", "dimensions": 3}'
    prepared = EMBEDDINGS.prepare_raw(body, orjson.loads(body), "m", ask_usage=True)
    assert prepared == (body.replace(b"a/m", b"m"), False)


def test_what_was_used_is_read() -> None:
    answer: JsonObject = {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    assert EMBEDDINGS.read_usage(answer) == Usage(input_tokens=8, output_tokens=0)
    assert EMBEDDINGS.read_error({"error": {"message": "x"}}) is not None


def test_nothing_is_translated() -> None:
    with pytest.raises(Unrepresentable):
        EMBEDDINGS.decode_request({"model": "m", "input": "a"})
    with pytest.raises(Unrepresentable):
        EMBEDDINGS.encode_request(ChatRequest("m", False, ()), Profile("m"))
