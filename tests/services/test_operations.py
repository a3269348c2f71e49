"""What is not generation: counts and embeddings, where they are offered and where not."""

import json
from dataclasses import replace

import pytest

from models.errors import Unrepresentable
from models.usage import NO_USAGE, Usage
from providers import anthropic, gemini, glm, openai
from providers.base import Provider
from tests.builders import make_provider, make_stored
from tests.fakes.transport import whole
from tests.services.executor_rig import Rig, make_request

VECTORS = b'{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}'


def served(provider: Provider, answer: bytes) -> Rig:
    """Return a gateway whose only provider answers so; it serves models named gpt-."""
    serving = replace(provider, prefixes=("gpt-",))
    account = make_stored(1, provider_id=provider.id)
    return Rig(lambda _sent: whole(answer), [account], providers=[serving])


def paths(rig: Rig) -> list[str]:
    return [sent.request.url for sent in rig.transport.sent]


async def test_a_count_is_asked_of_who_can_count() -> None:
    rig = served(anthropic.PROVIDER, b'{"input_tokens":2095}')
    reply = await rig.open(make_request("messages.count"))
    assert (reply.body, reply.headers) == (b'{"input_tokens":2095}', {})
    assert paths(rig) == ["https://api.anthropic.com/v1/messages/count_tokens"]
    assert rig.record.usage == NO_USAGE


@pytest.mark.parametrize(
    ("dialect", "provider", "answer"),
    [
        pytest.param("messages.count", anthropic.PROVIDER, b'{"input_tokens":2095}', id="messages"),
        pytest.param("responses.count", openai.PROVIDER, b'{"input_tokens":2095}', id="responses"),
        pytest.param("gemini.count", gemini.PROVIDER, b'{"totalTokens":2095}', id="gemini"),
    ],
)
async def test_what_was_counted_was_not_used(
    dialect: str, provider: Provider, answer: bytes
) -> None:
    rig = served(provider, answer)
    assert await rig.ask(make_request(dialect)) == answer
    assert (rig.record.mode, rig.record.usage) == ("raw", NO_USAGE)


async def test_elsewhere_it_is_estimated_and_marked_so() -> None:
    rig = served(make_provider("openai"), b"")
    reply = await rig.open(make_request("messages.count"))
    assert reply.headers == {"x-aigateway-estimated": "true"}
    assert 1 <= json.loads(reply.body)["input_tokens"] < 20
    assert paths(rig) == []


@pytest.mark.parametrize("provider", [openai.PROVIDER, glm.PROVIDER], ids=lambda one: one.id)
async def test_embeddings_pass_raw(provider: Provider) -> None:
    rig = served(provider, VECTORS)
    request = make_request("embeddings", input=["a"], odd=1)
    assert await rig.ask(request) == VECTORS
    (sent,) = rig.transport.sent
    assert sent.request.url == provider.main.base_url + "/embeddings"
    assert sent.request.body == request.body
    assert (rig.record.mode, rig.record.usage) == ("raw", Usage(8, 0))


async def test_who_has_no_embeddings_says_so() -> None:
    rig = served(anthropic.PROVIDER, b"")
    with pytest.raises(Unrepresentable, match="provider anthropic does not offer embeddings"):
        await rig.ask(make_request("embeddings", input="a"))
    assert paths(rig) == []


async def test_text_completions_are_raw_where_offered() -> None:
    answer = b'{"id":"u","object":"text_completion","choices":[{"text":"x"}]}'
    rig = served(openai.PROVIDER, answer)
    assert await rig.ask(make_request("completions", prompt=["a", "b"], echo=True)) == answer
    assert paths(rig) == ["https://api.openai.com/v1/completions"]


async def test_elsewhere_a_chat_model_completes() -> None:
    content = [{"type": "text", "text": "x"}]
    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {"id": "msg_1", "content": content, "stop_reason": "end_turn", "usage": usage}
    rig = served(anthropic.PROVIDER, json.dumps(message).encode())
    body = json.loads(await rig.ask(make_request("completions", prompt="Say")))
    (sent,) = rig.transport.sent
    asked = json.loads(sent.request.body)
    assert (asked["messages"], asked["max_tokens"]) == ([{"role": "user", "content": "Say"}], 16)
    assert (body["object"], body["choices"][0]["text"]) == ("text_completion", "x")
    assert (rig.record.mode, rig.record.usage) == ("translated", Usage(3, 1))
