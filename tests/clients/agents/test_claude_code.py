"""Claude Code itself, on models of every kind."""

from pathlib import Path

import pytest

from tests.clients.checks import MODELS, check_received
from tests.clients.programs import Finished, run
from tests.clients.reader import NOTE, QUESTION, place_note, teach
from tests.e2e.harness import Rig
from tests.fakes.provider import Kind

every_kind = pytest.mark.parametrize("kind", MODELS)


async def claude(rig: Rig, folder: Path, model: str, *arguments: str) -> Finished:
    return await run(
        "agents",
        "node_modules/.bin/claude",
        *arguments,
        folder=folder,
        environment={
            "ANTHROPIC_BASE_URL": rig.url,
            "ANTHROPIC_AUTH_TOKEN": rig.key,
            "ANTHROPIC_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    )


@every_kind
async def test_a_plain_prompt_is_answered(rig: Rig, tmp_path: Path, kind: Kind) -> None:
    provider = await rig.add_provider(kind)
    done = await claude(rig, tmp_path, MODELS[kind], "-p", "say hi")
    assert (done.code, done.out.strip()) == (0, provider.scenario.whole_text), done.told
    check_received(rig, provider, MODELS[kind])
    assert "say hi" in provider.seen[-1].body.decode()


@pytest.mark.parametrize(
    ("kind", "model"), [*MODELS.items(), ("antigravity", "antigravity/claude-sonnet-4-5-thinking")]
)
async def test_a_tool_is_run_and_its_result_answered(
    rig: Rig, tmp_path: Path, kind: Kind, model: str
) -> None:
    provider = await rig.add_provider(kind)
    teach(provider)
    place_note(tmp_path)
    done = await claude(rig, tmp_path, model, "-p", QUESTION, "--allowedTools", "Bash")
    assert (done.code, done.out.strip()) == (0, f"The note says {NOTE}."), done.told
    check_received(rig, provider, model)


@every_kind
async def test_the_context_is_measured_without_asking_a_model(
    rig: Rig, tmp_path: Path, kind: Kind
) -> None:
    provider = await rig.add_provider(kind)
    done = await claude(rig, tmp_path, MODELS[kind], "-p", "/context")
    assert done.code == 0, done.told
    assert "System prompt" in done.out, done.told
    counting = ("/count_tokens", "/input_tokens", ":countTokens")
    assert [seen.path for seen in provider.seen if not seen.path.endswith(counting)] == []
    rows = await rig.logs(1)
    assert {(row["dialect"], row["status"]) for row in rows} == {("messages.count", 200)}
