"""Programs on AI SDK, pydantic-ai and LangChain, over four APIs, on models of every kind."""

import json
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from tests.clients.checks import MODELS, check_received
from tests.clients.programs import installed, run
from tests.clients.reader import NOTE, QUESTION, place_note, teach
from tests.e2e.harness import Rig
from tests.fakes.provider import Kind

Library = Literal["ai_sdk.mjs", "langchain_agent.py", "pydantic_ai_agent.py"]
Api = Literal["chat", "responses", "messages", "gemini"]

SCRIPTS = Path(__file__).parent / "scripts"

every_library = pytest.mark.parametrize("library", get_args(Library))
every_api = pytest.mark.parametrize("api", get_args(Api))
every_kind = pytest.mark.parametrize("kind", MODELS)


async def ask(rig: Rig, folder: Path, library: Library, api: Api, model: str) -> list[Any]:
    """Return what the program got: to each prompt a whole answer, and a streamed one."""
    done = await run(
        "others",
        "node/node" if library.endswith(".mjs") else "venv/bin/python",
        *(str(SCRIPTS / library), "say hi", QUESTION),
        folder=folder,
        environment={
            "MODULES": str(installed("others") / "node_modules"),
            "GATEWAY_URL": rig.url,
            "GATEWAY_KEY": rig.key,
            "MODEL": model,
            "API": api,
        },
    )
    assert done.code == 0, done.told
    answers: list[Any] = json.loads(done.out.splitlines()[-1])
    return answers


@every_kind
@every_api
@every_library
async def test_prompts_are_answered_and_tools_run(
    rig: Rig, tmp_path: Path, library: Library, api: Api, kind: Kind
) -> None:
    provider = await rig.add_provider(kind)
    teach(provider)
    place_note(tmp_path)
    plain, streamed, *with_tool = await ask(rig, tmp_path, library, api, MODELS[kind])
    assert plain == {"text": "Hello wörld ✓", "inputTokens": 11}
    assert streamed["text"] == plain["text"]
    # LangChain reads a Messages stream's tokens at its end, where this provider repeats only some.
    if (library, api, kind) != ("langchain_agent.py", "messages", "messages"):
        assert streamed == plain
    for answer in with_tool:
        assert answer["text"].removeprefix("Let me look. ") == f"The note says {NOTE}."
    assert len(provider.seen) == 6
    check_received(rig, provider, MODELS[kind])


async def test_ai_sdk_takes_a_providers_name_behind_models(rig: Rig, tmp_path: Path) -> None:
    provider = await rig.add_provider("chat")
    model = f"models/openai/{MODELS['chat']}"
    plain, *_ = await ask(rig, tmp_path, "ai_sdk.mjs", "gemini", model)
    assert plain["text"] == provider.scenario.whole_text
    check_received(rig, provider, model)
