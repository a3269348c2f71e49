"""Codex CLI itself, the gateway in an entry of its own or as OpenAI, on models of every kind."""

from pathlib import Path
from typing import Literal, get_args

import pytest

from tests.clients.checks import MODELS, check_received
from tests.clients.programs import Finished, run, written
from tests.clients.reader import ARGUMENTS, NOTE, QUESTION, place_note, teach
from tests.e2e.harness import Rig
from tests.fakes.provider import Kind

Entry = Literal["own", "built-in"]

KNOWN_MODEL = "gpt-6.1-sol"
"""Codex gives the models it knows one free-text tool in a namespace, which runs JavaScript."""

CODE = 'text(await tools.exec_command({cmd: "cat note.txt"}))'

every_kind = pytest.mark.parametrize("kind", MODELS)
every_entry = pytest.mark.parametrize("entry", get_args(Entry))


async def codex(rig: Rig, folder: Path, entry: Entry, model: str, prompt: str) -> Finished:
    settings = {
        "own": f"""
            model_provider = "gateway"
            [model_providers.gateway]
            name = "gateway"
            base_url = "{rig.url}/v1"
            env_key = "GATEWAY_KEY"
            wire_api = "responses"
        """,
        "built-in": f'openai_base_url = "{rig.url}/v1"',
    }
    written(folder / "home" / ".codex" / "config.toml", settings[entry])
    return await run(
        "agents",
        "node_modules/.bin/codex",
        *("exec", "--skip-git-repo-check", "-s", "danger-full-access", "-m", model, prompt),
        folder=folder,
        environment={"GATEWAY_KEY": rig.key, "CODEX_API_KEY": rig.key},
    )


@every_kind
@every_entry
async def test_a_plain_prompt_is_answered(
    rig: Rig, tmp_path: Path, entry: Entry, kind: Kind
) -> None:
    provider = await rig.add_provider(kind)
    done = await codex(rig, tmp_path, entry, MODELS[kind], "say hi")
    assert (done.code, done.out.strip()) == (0, provider.scenario.whole_text), done.told
    # OpenAI's own address is tried over a WebSocket first: once, with the answer that it gets.
    tries = done.err.count("failed to connect to Responses WebSocket")
    assert tries == (entry == "built-in"), done.told
    assert len(provider.seen) == 1
    check_received(rig, provider, MODELS[kind])


@every_kind
async def test_a_tool_is_run_and_its_result_answered(rig: Rig, tmp_path: Path, kind: Kind) -> None:
    provider = await rig.add_provider(kind)
    teach(provider)
    place_note(tmp_path)
    done = await codex(rig, tmp_path, "own", MODELS[kind], QUESTION)
    assert (done.code, done.out.strip()) == (0, f"The note says {NOTE}."), done.told
    check_received(rig, provider, MODELS[kind])


@every_entry
async def test_a_free_text_tool_in_a_namespace_is_run(
    rig: Rig, tmp_path: Path, entry: Entry
) -> None:
    provider = await rig.add_provider("chat")
    teach(provider, {**ARGUMENTS, "exec": {"input": CODE}})
    place_note(tmp_path)
    done = await codex(rig, tmp_path, entry, KNOWN_MODEL, QUESTION)
    assert (done.code, done.out.strip()) == (0, f"The note says {NOTE}."), done.told
    check_received(rig, provider, KNOWN_MODEL)


async def test_a_free_text_tool_is_run_on_a_model_that_knows_none(rig: Rig, tmp_path: Path) -> None:
    provider = await rig.add_provider("messages")
    house = {"id": "house", "name": "House", "dialect": "messages", "base_url": provider.url}
    await rig.api("POST", "/providers", {**house, "prefixes": [KNOWN_MODEL]})
    await rig.add_account("house", "key-0")
    teach(provider, {**ARGUMENTS, "exec": {"input": CODE}})
    place_note(tmp_path)
    done = await codex(rig, tmp_path, "own", KNOWN_MODEL, QUESTION)
    assert (done.code, done.out.strip()) == (0, f"The note says {NOTE}."), done.told
    check_received(rig, provider, KNOWN_MODEL)
