"""Whole answers of a provider that are anything but one: told as its failure, never as ours."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PROVIDER_IDS, Rig, open_rig
from tests.fakes.provider import Failure, Kind
from tests.security.formats import FORMS
from tests.security.requests import places, replaced
from tests.security.shapes import failures_in
from tests.security.stage import QUICK
from tests.wire.exchanges import SCENARIOS, whole

_ANSWER = SCENARIOS["thinking and call"]
_GEMINI = whole("gemini", _ANSWER)
ANSWERS: dict[Kind, Any] = {
    "messages": whole("messages", _ANSWER),
    "chat": whole("responses", _ANSWER),
    "glm": whole("chat", _ANSWER),
    "gemini": _GEMINI,
    "antigravity": {"response": _GEMINI, "traceId": "t"},
}
COUNTS: dict[Kind, Any] = {
    "messages": {"input_tokens": 5},
    "chat": {"object": "response.input_tokens", "input_tokens": 5},
    "gemini": {"totalTokens": 5, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}]},
    "antigravity": {"totalTokens": 5},
}
ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    "",
    "x",
    [],
    {},
    [[]],
    [None],
    "9" * 5_000,
    2**63,
    1.5,
)
BODIES = (
    b"", b"[]", b"[{}]", b"null", b"{}", b"\xff\xfe", b"[" * 5_000, b'{"a":' * 3_000,
    b'{"x":"\\ud800"}', b'{"response":null}', b'{"response":[]}', b'{"response":{"response":{}}}',
    b'{"error":5}', b'{"error":{"code":[],"message":{},"details":5}}',
    b'[{"error":{"code":400,"message":"x"}}]', b'data: {"candidates":[]}\n\n',
)  # fmt: skip


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, QUICK) as opened:
        caplog.set_level(logging.INFO)
        yield opened
    assert failures_in(caplog) == []


def bodies(answer: Any, turn: int) -> list[bytes]:  # noqa: ANN401 - JSON
    """Return bodies that are no answer, and the answer with each value being another once."""
    changed = (
        replaced(answer, at, ODD[(turn + number) % len(ODD)])
        for number, at in enumerate(places(answer))
    )
    return [*BODIES, *(json.dumps(one).encode() for one in changed)]


@pytest.mark.parametrize("kind", PROVIDER_IDS)
async def test_no_answer_of_a_provider_is_a_failure_of_ours(rig: Rig, kind: Kind) -> None:
    fake = await rig.add_provider(kind)
    fake.refuses = False
    model = f"{PROVIDER_IDS[kind]}/gemini-3-fake"
    for turn, (name, form) in enumerate(FORMS.items()):
        answer = COUNTS.get(kind) if name.endswith(".count") else ANSWERS[kind]
        for body in bodies(answer, turn * 5) if answer else ():
            fake.failures = [Failure(200, body)] * 4
            response = await rig.post(form.at(model), form.asking(model))
            assert response.status != 500, (name, body, await response.read())
    assert len(fake.seen) > 100  # nobody was spared for long


@pytest.mark.parametrize("kind", ["gemini", "antigravity"])
async def test_an_array_where_a_stream_was_asked_for_is_a_failure_of_the_provider(
    rig: Rig, kind: Kind
) -> None:
    fake = await rig.add_provider(kind)
    model = f"{PROVIDER_IDS[kind]}/gemini-3-fake"
    array = json.dumps([ANSWERS[kind], ANSWERS[kind]]).encode()
    for name in ("messages", "chat", "responses", "gemini"):
        fake.failures = [Failure(200, array)] * 4
        form = FORMS[name]
        response = await rig.post(form.at(model, stream=True), form.asking(model, stream=True))
        assert response.status == 502, await response.read()
