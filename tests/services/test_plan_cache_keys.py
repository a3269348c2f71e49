"""A conversation keeps its name for OpenAI's cache where its request is written anew."""

import json
from dataclasses import replace

import pytest

from dialects import DIALECTS
from models.exchange import ProxyRequest
from models.json_types import Json
from providers import glm, openai
from providers.base import Provider, Route
from services.plan import make_plan
from tests.services.affinity_rig import make_request

USER_ID = "user_0123_account__session_5f0c1d52-3c44-4a5e-9a61-0d2f9a3c1b77"


def asked(dialect: str = "messages", **fields: Json) -> ProxyRequest:
    turns: Json = [{"role": "user", "content": "Why is the sky blue?"}]
    return make_request(dialect, model="gpt-5", max_tokens=9, messages=turns, **fields)


def sent(request: ProxyRequest, provider: Provider = openai.PROVIDER) -> dict[str, Json]:
    route = Route(provider, "gpt-5")
    made = make_plan(request, DIALECTS[request.dialect], route, wants_usage=False)
    payload = json.loads(made.body)
    assert isinstance(payload, dict)
    assert "prompt_cache_key" not in made.dropped
    return payload


def test_pain_28_the_name_of_a_conversation_is_carried_into_another_format() -> None:
    named = asked(metadata={"user_id": USER_ID})
    key = sent(named)["prompt_cache_key"]
    assert isinstance(key, str)
    assert len(key) == 32
    later = replace(named, id="1" * 32)
    assert sent(later)["prompt_cache_key"] == key
    assert sent(replace(named, session="by header"))["prompt_cache_key"] not in (key, None)


def test_two_keys_that_use_one_name_have_two_caches_and_the_name_stays_here() -> None:
    mine = replace(asked(), session="my project")
    theirs = replace(mine, key_id="another key")
    assert sent(mine)["prompt_cache_key"] != sent(theirs)["prompt_cache_key"]
    assert "my project" not in json.dumps(sent(mine))


@pytest.mark.parametrize(
    ("request_", "provider"),
    [
        pytest.param(asked(), openai.PROVIDER, id="no name"),
        pytest.param(asked(metadata={"user_id": "user-7"}), openai.PROVIDER, id="a user"),
        pytest.param(
            replace(asked("chat"), session="s", body=b"{}"), openai.PROVIDER, id="its own format"
        ),
        pytest.param(replace(asked("responses"), session="s"), glm.PROVIDER, id="no such field"),
    ],
)
def test_otherwise_none_is_sent(request_: ProxyRequest, provider: Provider) -> None:
    if request_.dialect == "responses":
        request_ = replace(request_, payload={"model": "glm-4.6", "input": "Why?"})
    assert "prompt_cache_key" not in sent(request_, provider)
