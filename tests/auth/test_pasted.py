import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.pasted import Redirected, read_pasted, read_query


@pytest.mark.parametrize(
    ("text", "code", "state"),
    [
        pytest.param("http://localhost:1455/cb?code=a&state=s", "a", "s", id="address"),
        pytest.param(" \n http://x/cb?state=s&code=a \t", "a", "s", id="blanks around"),
        pytest.param("http://x/cb?code=4%2F0A%2Bx&state=s", "4/0A+x", "s", id="percent signs"),
        pytest.param("http://x/cb?code=a+b&state=s", "a b", "s", id="plus is a blank in a query"),
        pytest.param("http://x/cb?code=a%252Fb&state=s", "a%2Fb", "s", id="decoded once"),
        pytest.param("http://x/cb#code=a&state=s", "a", "s", id="in the fragment"),
        pytest.param("http://x/cb?code=a#s", "a", "s", id="state as fragment"),
        pytest.param("com.example.app:/cb?code=a&state=s", "a", "s", id="scheme of an app"),
        pytest.param("/oauth/callback/x?code=a&state=s", "a", "s", id="path only"),
        pytest.param("code=a&state=s", "a", "s", id="pairs"),
        pytest.param("?code=a&state=s", "a", "s", id="pairs with their mark"),
        pytest.param("state=s&iss=i&code=a", "a", "s", id="pairs in another order"),
        pytest.param("a#s", "a", "s", id="code and state"),
        pytest.param("a%2Fb#s", "a/b", "s", id="code and state with percent signs"),
        pytest.param("a", "a", None, id="bare"),
        pytest.param("4/0A+x=", "4/0A+x=", None, id="bare, plus stays"),
        pytest.param("http://x/cb?code=a&code=a", "a", None, id="the same twice"),
    ],
)
def test_every_form_in_which_people_bring_a_code(text: str, code: str, state: str | None) -> None:
    found = read_pasted(text)
    assert found is not None
    assert (found.code, found.state, found.error) == (code, state, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "#",
        "#s",
        "http://x/cb",
        "http://x/cb?state=s",
        "http://[x",
        "code=",
        "code=%0a",
        "code=a&code=b",
        "code=\u00e9",
        "http://x/?" + "a=1&" * 60 + "code=a",
        "x" * 20_000,
    ],
)
def test_what_holds_no_code_is_nothing(text: str) -> None:
    assert read_pasted(text) is None


def test_errors_are_known_words_or_one_word_for_all_others() -> None:
    assert read_query("error=access_denied&state=s&iss=i") == Redirected(
        None, "s", "i", "access_denied"
    )
    refused = read_pasted("http://x/?error=<script>&error_description=canary&code=a")
    assert refused == Redirected(error="refused")


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for found in (read_pasted(text), read_pasted("http://x/?" + text), read_query(text)):
        assert found is None or found.code or found.error


def test_a_code_is_never_shown() -> None:
    found = read_pasted("canary#canary")
    assert "canary" not in repr(found)
