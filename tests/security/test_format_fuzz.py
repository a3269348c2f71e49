"""Requests of every format, changed at random: each gets an answer or a reason, from anybody."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from dialects.fields import parse_object
from models.errors import GatewayError
from models.exchange import ProxyRequest
from providers import BUILTIN
from providers.base import Provider, Route
from services.plan import make_plan
from services.unoffered import own_answer
from tests.e2e.harness import PROVIDER_IDS, Rig, open_rig
from tests.security.formats import FORMS
from tests.security.requests import Place, places, replaced, value_at
from tests.security.shapes import error_of, failures_in
from tests.security.test_request_fuzz import ANY_JSON, WORDS, _changed_once

MODELS = ("m-1", "claude-sonnet-4-5-thinking", "gemini-3-pro", "gemini-2.5-flash", "gpt-5")
OWN_WORDS = sorted(
    {
        word
        for form in FORMS.values()
        for at in places(form.rich)
        for word in (at[-1], value_at(form.rich, at))
        if isinstance(word, str)
    }
    - set(WORDS)
)
ODD = [
    b"[" * 1_000 + b"]" * 1_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b"1e400",
    b"-0.0",
    b"9" * 4_000,
    b"9" * 5_000,
    b'"\\ud800"',
    b'"\\u0000"',
    b"null",
    b'[{"type":{}}]',
]
"""JSON, or nearly so, that stands in the place of every value once."""


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        for kind in PROVIDER_IDS:
            await opened.add_provider(kind)
        caplog.set_level(logging.DEBUG)
        yield opened


def change(draw: st.DrawFn, request: Any) -> Any:  # noqa: ANN401 - JSON
    is_word = draw(st.booleans())
    every = list(places(request))
    if not (every and is_word):
        return _changed_once(draw, request)
    at: Place = draw(st.sampled_from(every))
    word = draw(st.sampled_from(OWN_WORDS))
    return replaced(request, at, word)


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A valid request of which a few values became something else, or were left out."""
    name = draw(st.sampled_from(sorted(FORMS)))
    request: Any = draw(st.sampled_from([FORMS[name].rich, FORMS[name].plain]))
    for _ in range(draw(st.integers(1, 4))):
        request = change(draw, request)
    return name, request if isinstance(request, dict) else {"x": request}


def judged(name: str, body: bytes, provider: Provider, model: str) -> int:
    """Do with a body what the gateway does before it calls a provider; return the status."""
    client = DIALECTS[name]
    try:
        payload = parse_object(body)
        address = {"model": "m-1", "method": "generateContent"}
        asked = client.inspect(body, payload, address)
        request = ProxyRequest(
            "0" * 32, None, name, asked.model, asked.stream, body, payload, {}, "key", 0.0, 0.0
        )
        route = Route(provider, model)
        if provider.offer_for(client) is None:
            own_answer(request, client, route)
        else:
            plan = make_plan(request, client, route, wants_usage=True)
            assert parse_object(plan.body)
    except GatewayError as error:
        told = client.encode_error(error, "rid")
        error_of(FORMS[name].path.replace("METHOD", "generateContent"), told.body)
        return told.status
    return 200


def test_every_format_has_its_requests() -> None:
    assert set(FORMS) == set(DIALECTS)
    for name, form in FORMS.items():
        for request in (form.plain, form.rich):
            statuses = {judged(name, json.dumps(request).encode(), one, "m-1") for one in BUILTIN}
            assert statuses & {200}, name


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda one: str(one.id))
@hypothesis.settings(max_examples=250)
@given(case=changed(), model=st.sampled_from(MODELS))
def test_a_changed_request_is_planned_or_refused(
    provider: Provider, case: tuple[str, dict[str, Any]], model: str
) -> None:
    name, request = case
    status = judged(name, json.dumps(request).encode(), provider, model)
    assert status == 200 or 400 <= status < 500


@pytest.mark.parametrize("name", sorted(FORMS))
def test_an_odd_value_anywhere_is_planned_or_refused(name: str) -> None:
    for number, at in enumerate(places(FORMS[name].rich)):
        body = json.dumps(replaced(FORMS[name].rich, at, "ODD")).encode()
        for step, odd in enumerate(ODD):
            provider = BUILTIN[(number + step) % len(BUILTIN)]
            model = MODELS[(number + step) % len(MODELS)]
            status = judged(name, body.replace(b'"ODD"', odd), provider, model)
            assert status == 200 or 400 <= status < 500, (at, odd[:20], provider.id)


@hypothesis.settings(
    max_examples=250, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(case=changed(), provider_id=st.sampled_from(sorted(PROVIDER_IDS.values())))
async def test_a_changed_request_gets_an_answer_or_a_reason(
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
    provider_id: str,
    case: tuple[str, dict[str, Any]],
) -> None:
    name, request = case
    model = f"{provider_id}/m-1"
    if isinstance(request.get("model"), str):
        request = {**request, "model": model}
    response = await rig.post(FORMS[name].at(model), json.dumps(request).encode())
    body = await response.read()
    assert response.status == 200 or 400 <= response.status < 500, (request, body)
    if response.status != 200:
        assert json.loads(body)["error"]  # ours or, told as it came, the provider's
    assert failures_in(caplog) == []


@hypothesis.settings(
    max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(query=st.dictionaries(st.sampled_from(["alt", "$alt", "key", "x"]), st.text(max_size=8)),
       body=ANY_JSON)  # fmt: skip
async def test_any_body_and_query_of_a_stream_gets_an_answer_or_a_reason(
    rig: Rig, caplog: pytest.LogCaptureFixture, query: dict[str, str], body: object
) -> None:
    path = FORMS["gemini"].at("gemini/m-1", stream=True)
    request = {**FORMS["gemini"].plain, "generationConfig": body}
    headers = {"authorization": f"Bearer {rig.key}", "content-type": "application/json"}
    async with rig.http.post(rig.url + path, params=query, json=request, headers=headers) as got:
        await got.read()
    assert got.status == 200 or 400 <= got.status < 500
    assert failures_in(caplog) == []
