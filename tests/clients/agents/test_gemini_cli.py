"""Gemini CLI itself, on models of every kind."""

import json
from pathlib import Path

import pytest

from tests.clients.checks import MODELS, check_received
from tests.clients.programs import Finished, run, written
from tests.clients.reader import NOTE, QUESTION, place_note, teach
from tests.e2e.harness import Rig
from tests.fakes.provider import Kind

every_kind = pytest.mark.parametrize("kind", MODELS)


async def gemini(rig: Rig, folder: Path, *arguments: str) -> Finished:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    written(folder / "home" / ".gemini" / "settings.json", json.dumps(settings))
    return await run(
        "agents",
        "node_modules/.bin/gemini",
        *arguments,
        folder=folder,
        environment={
            "GOOGLE_GEMINI_BASE_URL": rig.url,
            "GEMINI_API_KEY": rig.key,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        },
    )


@every_kind
async def test_a_plain_prompt_is_answered(rig: Rig, tmp_path: Path, kind: Kind) -> None:
    provider = await rig.add_provider(kind)
    done = await gemini(rig, tmp_path, "-p", "say hi", "-m", MODELS[kind])
    assert (done.code, done.out.strip()) == (0, provider.scenario.whole_text), done.told
    assert len(provider.seen) == 1
    check_received(rig, provider, MODELS[kind])


@every_kind
async def test_a_tool_is_run_and_its_result_answered(rig: Rig, tmp_path: Path, kind: Kind) -> None:
    provider = await rig.add_provider(kind)
    teach(provider)
    place_note(tmp_path)
    done = await gemini(rig, tmp_path, "-p", QUESTION, "-m", MODELS[kind])
    assert done.code == 0, done.told
    assert f"The note says {NOTE}." in done.out, done.told
    check_received(rig, provider, MODELS[kind])
