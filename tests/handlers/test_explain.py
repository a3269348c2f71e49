"""`/api/v1/route/explain`: where a request would go."""

from collections.abc import AsyncGenerator

import pytest

from aigateway.ground import assemble
from models.json_types import Json, JsonObject
from tests.handlers.api import Api, account_body, proxy_body, running_api

EXPLAIN = "/api/v1/route/explain"


@pytest.fixture
async def api() -> AsyncGenerator[Api, None]:
    async with running_api(assemble=assemble) as running:
        yield running


async def explained(api: Api, **question: object) -> JsonObject:
    told = await api.call("POST", EXPLAIN, {"model": "openai/gpt-5", **question})
    assert told.status == 200, told.text
    return told.json


def items(value: Json) -> list[JsonObject]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]


async def test_it_tells_providers_addresses_accounts_and_ways_out(api: Api) -> None:
    proxy = (await api.made("/api/v1/proxies", proxy_body())).id
    first = (await api.made("/api/v1/accounts", account_body(label="first"))).id
    off = (await api.made("/api/v1/accounts", account_body(label="off", is_active=False))).id
    told = await explained(api, dialect="messages", stream=True)
    assert told == {
        "mode": "sequential",
        "hedge_after_s": None,
        "models": [
            {
                "model": "openai/gpt-5",
                "is_fallback": False,
                "problem": None,
                "routes": [
                    {
                        "provider_id": "openai",
                        "model": "gpt-5",
                        "way": "translated",
                        "addresses": [
                            {
                                "base_url": "https://api.openai.com/v1",
                                "breaker": "closed",
                                "opens_at": None,
                            }
                        ],
                        "strategy": "round_robin",
                        "counter": None,
                        "home": None,
                        "next": {
                            "account_id": first,
                            "account_label": "first",
                            "proxy_id": proxy,
                            "proxy_label": "proxy 1",
                            "choice": "strategy",
                        },
                        "trial_due": False,
                        "candidates": [
                            {
                                "account_id": first,
                                "account_label": "first",
                                "proxy_id": proxy,
                                "outcome": "next",
                                "reason": "strategy",
                            },
                            {
                                "account_id": off,
                                "account_label": "off",
                                "proxy_id": None,
                                "outcome": "excluded",
                                "reason": "inactive",
                            },
                        ],
                        "counts": {"inactive": 1},
                        "refusal": None,
                    }
                ],
            }
        ],
    }


async def test_it_tells_what_a_client_would_be_told_where_nobody_can_serve(api: Api) -> None:
    await api.made("/api/v1/accounts", account_body(is_active=False))
    told = await explained(api, fallback=["anthropic/claude-x", "mystery"])
    refused, other, unknown = items(told["models"])
    (route,) = items(refused["routes"])
    assert route["next"] is None
    assert route["refusal"] == {
        "status": 503,
        "message": "no account of provider 'openai' can serve model 'gpt-5' now: 1 inactive",
        "retry_after_s": 30.0,
    }
    assert (other["is_fallback"], unknown["routes"]) == (True, [])
    assert "mystery" in str(unknown["problem"])


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({}, "model"),
        ({"model": "gpt-5", "dialect": "morse"}, "dialect"),
        ({"model": "gpt-5", "fallback": ["x"] * 9}, "fallback"),
        ({"model": "x" * 201}, "model"),
        ({"model": "gpt-5", "messages": []}, "messages"),
    ],
)
async def test_a_question_that_cannot_be_meant_is_refused(
    api: Api, question: object, field: str
) -> None:
    told = await api.call("POST", EXPLAIN, question)
    assert (told.status, told.fields) == (422, [field])
