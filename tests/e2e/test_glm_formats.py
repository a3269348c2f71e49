"""GLM speaks two formats, each at a base of its own: clients of either get theirs as it is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.e2e.sdks import SDKS
from tests.e2e.sdks.asking import Ask
from tests.fakes.provider import FakeProvider
from tests.fakes.scenarios import Call, Scenario

CHAT_PATH = "/api/paas/v4/chat/completions"
MESSAGES_PATH = "/api/anthropic/v1/messages"
MODEL = "glm/glm-4.6"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        fake = await opened.add_provider("glm")
        await opened.api("PATCH", "/providers/glm", {"base_url": fake.url + "/api/paas/v4"})
        yield opened


@pytest.fixture
def provider(rig: Rig) -> FakeProvider:
    return rig.providers["glm"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("sdk", "path"),
    [
        ("anthropic", MESSAGES_PATH),
        ("chat", CHAT_PATH),
        ("responses", CHAT_PATH),
        ("google", CHAT_PATH),
    ],
)
async def test_each_client_is_led_to_the_base_of_its_format(
    rig: Rig, provider: FakeProvider, sdk: str, path: str, stream: bool
) -> None:
    got = await SDKS[sdk].ask(rig, MODEL, Ask(), stream=stream)
    assert got.text == provider.scenario.whole_text
    assert provider.seen[-1].path == path


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_pass_byte_for_byte_with_their_tools_and_thoughts(
    rig: Rig, provider: FakeProvider, stream: bool
) -> None:
    provider.scenario = Scenario(thinking=("hm",), calls=(Call("toolu_1", "f", {}),), stop="tools")
    body = {
        "model": "glm-4.6",
        "max_tokens": 50,
        "stream": stream,
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }
    response = await rig.post("/v1/messages", body)
    assert response.status == 200
    assert await response.read() == provider.sent[-1]
    assert provider.seen[-1].payload == body
    assert provider.seen[-1].headers["anthropic-version"]
