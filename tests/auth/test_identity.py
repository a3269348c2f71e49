import base64
import json

import pytest

from auth.identity import fact, facts, masked
from auth.jwt import claims_of
from models.json_types import Json, JsonObject

CLAIMS: JsonObject = {
    "email": "ann@example.com",
    "sub": 17,
    "https://api.example.com/auth": {"account_id": "acc-1", "orgs": [{"id": "o"}]},
    "a": {"b": {"c": "deep"}},
    "a.b": {"c": "dotted"},
    "flag": True,
    "empty": "",
    "long": "x" * 256,
    "control": "a\nb",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("email", "ann@example.com"),
        ("sub", "17"),
        ("https://api.example.com/auth.account_id", "acc-1"),
        ("a.b.c", "deep"),
        ("https://api.example.com/auth", None),
        ("https://api.example.com/auth.orgs", None),
        ("flag", None),
        ("empty", None),
        ("long", None),
        ("control", None),
        ("nowhere", None),
        ("email.more", None),
    ],
)
def test_dots_lead_into_objects_and_only_short_texts_count(path: str, found: str | None) -> None:
    assert fact(path, [CLAIMS]) == found


def test_the_first_source_that_knows_it_counts() -> None:
    sources: list[JsonObject] = [{"email": ""}, {"email": "one"}, {"email": "two"}]
    assert fact("email", sources) == "one"
    assert facts({"mail": "email", "id": "sub"}, iter([*sources, CLAIMS])) == {
        "mail": "one",
        "id": "17",
    }


@pytest.mark.parametrize(
    ("identity", "shown"),
    [("ann@example.com", "a***@example.com"), ("user-1234", "us***"), ("", "***")],
)
def test_a_log_shows_little_of_an_identity(identity: str, shown: str) -> None:
    assert masked(identity) == shown


def _token(payload: Json) -> str:
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"e30.{part}.c2ln"


@pytest.mark.parametrize("token", ["", "a.b", "a.!.c", "a.é.c", _token([1]), _token("x")])
def test_what_is_no_token_claims_nothing(token: str) -> None:
    assert claims_of(token) == {}


def test_claims_are_read() -> None:
    assert claims_of(_token(CLAIMS)) == CLAIMS
