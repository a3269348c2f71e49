"""What each upstream failure leads to: the table of acceptance, and what holds for all of it."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from models.errors import Blame, ErrorKind
from models.json_types import Json
from providers import BUILTIN
from tests.providers.blame import of_anthropic, of_glm, of_google, of_openai, on_the_way
from tests.providers.blame.case import DAY, NOW, Case

TABLE = (
    *of_anthropic.CASES,
    *of_openai.CASES,
    *of_google.CASES,
    *of_glm.CASES,
    *on_the_way.CASES,
)


def _each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", list(cases), ids=lambda one: f"{one.provider.id}: {one.status} {one.name}"
    )


EVERY = _each(TABLE)


@pytest.fixture(autouse=True)
def _at_a_known_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


@EVERY
def test_a_failure_is_blamed_on_who_caused_it_for_as_long_as_it_lasts(case: Case) -> None:
    error = case.diagnosed()
    assert (error.kind, error.blame, error.family) == (case.kind, case.blame, case.family)
    assert (error.retryable, error.needs_operator) == (not case.stays, case.operator)
    assert error.pause_s == (None if case.pause is None else pytest.approx(case.pause))
    waits = case.pause if case.wait is None else case.wait
    assert error.retry_after_s == (None if waits is None else pytest.approx(waits))
    assert (error.status, error.evidence) == (case.told, case.evidence)


def test_the_table_covers_every_provider_every_blame_and_the_pains() -> None:
    assert len(TABLE) >= 150
    assert {case.provider.id for case in TABLE} >= {provider.id for provider in BUILTIN} | {"own"}
    assert {case.blame for case in TABLE} == set(Blame)
    names = Counter((case.provider.id, case.status, case.name) for case in TABLE)
    assert set(names.values()) == {1}
    pains = {case.name.split(":")[0] for case in TABLE if case.name.startswith("pain ")}
    assert pains == {f"pain {number}" for number in (7, 10, 11, 12, 13, 14, 15, 16, 17, 21)}


@EVERY
def test_pain_11_nothing_rests_for_longer_than_the_longest_window(case: Case) -> None:
    error = case.diagnosed()
    assert 0 <= (error.pause_s or 0.0) <= 8 * DAY
    assert 0 <= (error.retry_after_s or 0.0) <= 8 * DAY


@_each(case for case in TABLE if case.body.startswith(b"<"))
def test_pain_16_what_is_no_word_of_the_api_costs_no_account_its_place(case: Case) -> None:
    assert case.diagnosed().blame not in (Blame.ACCOUNT, Blame.FAMILY)
    assert not case.diagnosed().needs_operator


@_each(case for case in TABLE if case.status >= 500)
def test_pain_17_a_broken_provider_is_never_told_as_a_limit(case: Case) -> None:
    assert case.diagnosed().status in (502, 503, 504)


def _speaks_for_itself(case: Case) -> bool:
    """Whether the body says it all; otherwise the status or headers are needed."""
    told = ("code ", "Retry", "quota", "told to wait", "usage_limit")
    is_told = case.evidence.startswith(told) or case.evidence.isupper() or case.operator
    return is_told and case.body.startswith((b"{", b"["))


@_each(filter(_speaks_for_itself, TABLE))
def test_pain_21_inside_a_stream_the_same_words_mean_the_same(case: Case) -> None:
    told, found = case.diagnosed(), case.diagnosed_inside_a_stream()
    assert (found.kind, found.blame, found.family) == (told.kind, told.blame, told.family)
    assert (found.pause_s, found.needs_operator) == (told.pause_s, told.needs_operator)
    assert found.retryable is told.retryable


# --- what clients write, and what providers repeat --------------------------------------------

DAMNING = (
    "this organization has been disabled",
    "identity verification",
    "your credit balance is too low",
    "token has been revoked",
    "api key reported as leaked",
    "has been suspended",
    "the model is at capacity",
)
REPEATED = (
    (400, "Invalid value: '{}'. Supported values are: 'a' and 'b'."),
    (400, "{}: Extra inputs are not permitted"),
    (400, 'Unknown name "{}": Cannot find field.'),
    (400, "Unsupported value `{}` in the request."),
    (404, "model: {}"),
    (404, "The model `{}` does not exist"),
    (422, "body.messages: {} is no role"),
)


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda one: one.id)
@pytest.mark.parametrize(("status", "frame"), REPEATED)
@pytest.mark.parametrize("words", [*DAMNING, *(f"x' {words} 'y" for words in DAMNING[:2])])
def test_what_a_client_wrote_and_a_provider_repeats_is_no_evidence_against_the_account(
    provider: object, status: int, frame: str, words: str
) -> None:
    case = next(case for case in TABLE if case.provider is provider)
    message = frame.format(words)
    body = json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()
    error = case.provider.diagnose(case.provider.main.dialect, status, {}, body)
    assert error.blame in (Blame.REQUEST, Blame.ACCOUNT_MODEL)
    assert not error.needs_operator
    assert error.kind in (
        ErrorKind.INVALID_REQUEST,
        ErrorKind.NOT_FOUND,
        ErrorKind.MODEL_NOT_FOUND,
    )


CANARY = "sk-canary-0123456789"


def _poisoned(value: Json) -> Json:
    """Return the same with a secret in every text."""
    if isinstance(value, dict):
        return {name: _poisoned(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_poisoned(one) for one in value]
    return f"{value} {CANARY}" if isinstance(value, str) else value


@EVERY
def test_evidence_holds_no_word_of_a_provider_that_is_not_known(case: Case) -> None:
    try:
        body = json.dumps(_poisoned(json.loads(case.body))).encode()
    except ValueError:
        body = case.body + CANARY.encode()
    headers: Mapping[str, str] = {name: f"{text} {CANARY}" for name, text in case.headers.items()}
    for told in (headers, case.headers):
        dialect = case.dialect or case.provider.main.dialect
        error = case.provider.diagnose(dialect, case.status, told, body)
        assert "canary" not in error.evidence
        assert len(error.evidence) < 100
