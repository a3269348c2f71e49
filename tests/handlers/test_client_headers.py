"""Headers between client and provider: versions, strictness, what was dropped, limits, waits."""

import json
from typing import Any

import pytest

from dialects import DIALECTS
from tests.builders import make_provider
from tests.fakes.transport import Answer, Sent, whole
from tests.handlers.model_api import serving
from tests.services.executor_rig import Rig, chat_answer, messages_answer

pytestmark = pytest.mark.usefixtures("way")

MESSAGES = {"model": "gpt-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
CHAT = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]}
ASK: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("/v1/messages", MESSAGES),
    "chat": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", {"model": "gpt-x", "input": "Hi"}),
    "gemini": (
        "/v1beta/models/gpt-x:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ),
}
DROPPED: dict[str, tuple[dict[str, Any], str]] = {
    "chat": ({"seed": 5}, "seed"),
    "responses": ({"top_logprobs": 3}, "top_logprobs"),
    "gemini": ({"generationConfig": {"seed": 5}}, "generationConfig.seed"),
}


def anthropic(answer: Any = messages_answer) -> Rig:  # noqa: ANN401 - any script
    return Rig(answer, providers=[make_provider(dialect=DIALECTS["messages"])])


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_a_version_and_betas_go_on_to_anthropic(version: str) -> None:
    rig = anthropic()
    betas = "claude-code-20250219,context-1m-2025-08-07"
    async with serving(rig) as served:
        response = await served.call(
            "POST", "/v1/messages", MESSAGES, anthropic_version=version, anthropic_beta=betas
        )
        assert response.status == 200
    (sent,) = rig.transport.sent
    assert sent.request.headers["anthropic-version"] == version
    assert sent.request.headers["anthropic-beta"] == betas


@pytest.mark.parametrize("dialect", ["chat", "responses", "gemini"])
async def test_betas_of_a_client_of_another_format_do_not(dialect: str) -> None:
    rig = anthropic()
    path, body = ASK[dialect]
    async with serving(rig) as served:
        response = await served.call("POST", path, body, anthropic_beta="b", openai_beta="c")
        assert response.status == 200
    (sent,) = rig.transport.sent
    assert not {"anthropic-beta", "openai-beta"} & {name.lower() for name in sent.request.headers}


# --- what a provider cannot carry ----------------------------------------------------------------


@pytest.mark.parametrize("dialect", DROPPED)
async def test_what_was_dropped_is_named_and_a_strict_client_is_refused(dialect: str) -> None:
    path, body = ASK[dialect]
    setting, name = DROPPED[dialect]
    async with serving(anthropic()) as served:
        told = await served.call("POST", path, body | setting)
        assert (told.status, told.headers["x-aigateway-dropped"]) == (200, name)
        for wish in ("true", " TRUE "):
            refused = await served.call("POST", path, body | setting, x_aigateway_strict=wish)
            assert refused.status == 400
            assert name in await refused.text()
        lenient = await served.call("POST", path, body | setting, x_aigateway_strict="false")
        assert lenient.status == 200
        plain = await served.call("POST", path, body, x_aigateway_strict="true")
        assert plain.status == 200
        assert "x-aigateway-dropped" not in plain.headers


async def test_a_strict_gateway_refuses_unless_the_client_says_otherwise() -> None:
    path, body = ASK["chat"]
    setting, _ = DROPPED["chat"]
    async with serving(anthropic(), strict=True) as served:
        assert (await served.call("POST", path, body | setting)).status == 400
        lenient = await served.call("POST", path, body | setting, x_aigateway_strict="false")
        assert (lenient.status, lenient.headers["x-aigateway-dropped"]) == (200, "seed")


async def test_an_estimate_says_that_it_is_one() -> None:
    async with serving(Rig(chat_answer)) as served:
        counted = await served.call("POST", "/v1/messages/count_tokens", MESSAGES)
        assert counted.status == 200
        assert counted.headers["x-aigateway-estimated"] == "true"
        assert (await counted.json())["input_tokens"] > 0
        answered = await served.call("POST", "/v1/messages", MESSAGES)
        assert "x-aigateway-estimated" not in answered.headers


# --- limits and waits ----------------------------------------------------------------------------

LIMITS = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-organization-id": "org-secret",
    "set-cookie": "session=secret",
}


def limited(sent: Sent) -> Answer:
    answer = messages_answer(sent)
    return Answer(answer.status, answer.pieces, {**answer.headers, **LIMITS})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("messages", {name: LIMITS[name] for name in LIMITS if "ratelimit" in name}),
        ("chat", {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "49"}),
        ("responses", {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "49"}),
        ("gemini", {}),
    ],
)
async def test_a_client_learns_its_limits_in_its_own_words_and_nothing_else(
    dialect: str, expected: dict[str, str], stream: bool
) -> None:
    path, body = ASK[dialect]
    if stream and dialect == "gemini":
        path = path.replace(":generate", ":streamGenerate")
    elif stream:
        body = {**body, "stream": True}
    async with serving(anthropic(limited)) as served:
        response = await served.call("POST", path, body)
        assert response.status == 200
        told = {name.lower(): value for name, value in response.headers.items()}
    assert {name: told[name] for name in told if "ratelimit" in name} == expected
    assert "secret" not in str(told)


@pytest.mark.parametrize("dialect", ASK)
@pytest.mark.parametrize(("waits_s", "insists"), [(20, None), (7_200, "false")])
async def test_every_client_is_told_how_long_to_wait_and_not_to_wait_for_hours(
    dialect: str, waits_s: int, insists: str | None
) -> None:
    path, body = ASK[dialect]
    script = whole(json.dumps({"error": {"message": "slow down"}}).encode(), 429)
    rig = anthropic(
        lambda _: Answer(429, script.pieces, {**script.headers, "retry-after": str(waits_s)})
    )
    async with serving(rig) as served:
        response = await served.call("POST", path, body)
    assert (response.status, response.headers["retry-after"]) == (429, str(waits_s))
    assert response.headers.get("x-should-retry") == insists


# --- large bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ASK)
async def test_32_mb_are_read_and_no_byte_more(dialect: str) -> None:
    path, body = ASK[dialect]
    limit = 32 * 1024 * 1024
    text = json.dumps(body)
    rig = anthropic(lambda sent: messages_answer(sent))
    async with serving(rig, max_body_bytes=limit) as served:
        for extra, status in ((0, 200), (1, 413)):
            filler = "x" * (limit - len(text) + extra)
            response = await served.http.post(
                served.url + path,
                data=_pieces(text.replace('"Hi"', f'"Hi{filler}"').encode()),
                headers={"x-api-key": "ak_client", "content-type": "application/json"},
            )
            await response.read()
            assert response.status == status


async def _pieces(data: bytes) -> Any:  # noqa: ANN401 - an iterator that aiohttp takes
    for at in range(0, len(data), 1 << 20):
        yield data[at : at + (1 << 20)]
