"""opencode itself, over four APIs, on models of every kind."""

import json
from pathlib import Path

import pytest

from tests.clients.checks import MODELS, check_received
from tests.clients.programs import Finished, run, written
from tests.clients.reader import NOTE, QUESTION, place_note, teach
from tests.e2e.harness import Rig
from tests.fakes.provider import Kind

PACKAGES = {
    "chat": ("@ai-sdk/openai-compatible", "/v1"),
    "responses": ("@ai-sdk/openai", "/v1"),
    "messages": ("@ai-sdk/anthropic", "/v1"),
    "gemini": ("@ai-sdk/google", "/v1beta"),
}
"""Which package of the AI SDK speaks an API, and what it wants behind the gateway's address."""

every_api = pytest.mark.parametrize("api", PACKAGES)
every_kind = pytest.mark.parametrize("kind", MODELS)


async def opencode(rig: Rig, folder: Path, api: str, kind: Kind, prompt: str) -> Finished:
    package, path = PACKAGES[api]
    provider = {
        "npm": package,
        "options": {"baseURL": rig.url + path, "apiKey": rig.key},
        "models": {MODELS[kind]: {"tool_call": True}},
    }
    model = f"gateway/{MODELS[kind]}"
    settings = {
        "provider": {"gateway": provider},
        "small_model": model,
        "permission": "allow",
        "autoupdate": False,
        "share": "disabled",
    }
    file = written(folder / "home" / "opencode.json", json.dumps(settings))
    return await run(
        "others",
        "node_modules/.bin/opencode",
        *("run", "-m", model, prompt),
        folder=folder,
        environment={
            "OPENCODE_CONFIG": str(file),
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        },
    )


@every_kind
@every_api
async def test_a_plain_prompt_is_answered(rig: Rig, tmp_path: Path, api: str, kind: Kind) -> None:
    provider = await rig.add_provider(kind)
    done = await opencode(rig, tmp_path, api, kind, "say hi")
    assert done.code == 0, done.told
    assert provider.scenario.whole_text in done.out, done.told
    check_received(rig, provider, MODELS[kind])


@every_kind
@every_api
async def test_a_tool_is_run_and_its_result_answered(
    rig: Rig, tmp_path: Path, api: str, kind: Kind
) -> None:
    provider = await rig.add_provider(kind)
    teach(provider)
    place_note(tmp_path)
    done = await opencode(rig, tmp_path, api, kind, QUESTION)
    assert done.code == 0, done.told
    assert f"The note says {NOTE}." in done.out, done.told
    check_received(rig, provider, MODELS[kind])
