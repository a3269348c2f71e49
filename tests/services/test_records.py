import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attempt import Attempt, Choice, Decision
from models.exchange import RequestRecord
from models.usage import Usage
from services.records import record_from_json, record_to_json

# Half surrogate pairs included: a model's name is whatever a client sent.
_text = st.text(st.characters(codec=None), max_size=20)
_some_text = st.none() | _text
_counts = st.none() | st.integers(0, 2**63)
_numbers = st.floats(0, 1e12)


def _decision_id(attempt: Attempt) -> object:
    return attempt.decision.id if attempt.decision is not None else attempt.number


_decisions = st.builds(
    Decision,
    id=_text,
    at=_numbers,
    provider_id=_text,
    model=_text,
    strategy=_text,
    eligible=st.lists(_text, max_size=3).map(tuple),
    excluded=st.dictionaries(_text, _text, max_size=3),
    counts=st.dictionaries(_text, st.integers(0, 99), max_size=3),
)
attempts = st.builds(
    Attempt,
    number=st.integers(1, 20),
    at=_numbers,
    provider_id=_text,
    model=_text,
    account_id=_text,
    proxy_id=_some_text,
    choice=st.sampled_from(get_args(Choice)),
    counter=st.none() | st.integers(0, 2**63),
    decision=st.none() | _decisions,
    base_url=_some_text,
    status=st.none() | st.integers(100, 599),
    error_kind=_some_text,
    blame=_some_text,
    message=_some_text,
    rest_scope=_some_text,
    rest_until=st.none() | _numbers,
    sent=st.booleans(),
    first_byte_ms=st.none() | _numbers,
    latency_ms=_numbers,
)
records = st.builds(
    RequestRecord,
    id=_text,
    at=_numbers,
    key_id=_text,
    dialect=_text,
    model=_text,
    stream=st.booleans(),
    client_request_id=_some_text,
    provider_id=_some_text,
    upstream_model=_some_text,
    account_id=_some_text,
    proxy_id=_some_text,
    status=st.integers(0, 999),
    error_code=_some_text,
    attempts=st.integers(0, 20),
    mode=st.sampled_from(["raw", "translated"]),
    usage=st.builds(Usage, _counts, _counts, _counts, _counts, _counts),
    first_byte_ms=st.none() | _numbers,
    latency_ms=_numbers,
    affinity=_some_text,
    cached_tokens_lost=_counts,
    tries=st.lists(attempts, max_size=2, unique_by=_decision_id),
    egress_errors=st.lists(_text, max_size=3).map(tuple),
)


@given(records)
def test_a_record_comes_back_as_it_was(record: RequestRecord) -> None:
    line = record_to_json(record)
    assert record_from_json(line) == record
    assert b"\n" not in line


@given(st.builds(RequestRecord, *[_text, _numbers, _text, _text, _text, st.booleans()]))
def test_fields_of_a_newer_version_are_passed_over(record: RequestRecord) -> None:
    fields = json.loads(record_to_json(record)) | {"price": 5}
    fields["usage"]["audio_tokens"] = 1
    assert record_from_json(json.dumps(fields).encode()) == record


@given(st.builds(RequestRecord, *[_text, _numbers, _text, _text, _text, st.booleans()]))
def test_a_record_of_a_version_without_attempts_is_read(record: RequestRecord) -> None:
    fields = json.loads(record_to_json(record))
    for name in ("tries", "affinity", "cached_tokens_lost"):
        del fields[name]
    assert record_from_json(json.dumps(fields).encode()) == record


_shared = Decision("d1", 1.0, "p", "m", "round_robin", ("a" * 32,) * 200)


def _tried(request_id: str) -> RequestRecord:
    attempt = Attempt(1, 1.0, "p", "m", "a", None, "strategy", decision=_shared)
    return RequestRecord(request_id, 1.0, "k", "d", "m", False, tries=[attempt])


def test_a_decision_that_many_share_is_on_the_disk_once() -> None:
    records, told = [_tried("r1"), _tried("r2")], set[str]()
    first, second = (record_to_json(record, told) for record in records)
    assert len(second) < 1000 < len(first)
    known: dict[str, Decision] = {}
    assert [record_from_json(line, known) for line in (first, second)] == records
    assert record_from_json(second).tries[0].decision is None


_good = RequestRecord("r", 1.0, "k", "d", "m", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("id", 5),
        ("at", "now"),
        ("at", True),
        ("stream", 1),
        ("status", True),
        ("status", 200.5),
        ("usage", None),
        ("usage", {"input_tokens": "5"}),
        ("egress_errors", "proxy"),
        ("egress_errors", [1]),
        ("account_id", ["a"]),
        ("tries", None),
        ("tries", ["first"]),
        ("tries", [{}]),
        ("affinity", 1),
    ],
)
def test_a_field_of_another_kind_is_refused(name: str, value: object) -> None:
    fields = json.loads(record_to_json(_good)) | {name: value}
    with pytest.raises(ValueError, match=r"expected"):
        record_from_json(json.dumps(fields).encode())


@given(st.binary(max_size=50))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        record_from_json(garbage)
