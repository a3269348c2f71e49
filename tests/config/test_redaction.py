import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.redaction import KnownSecrets, is_secret_name, mask_url, one_line, redact

SECRET = "S3cretValue0123456789"  # what must not be left of any text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"key sk-ant-{SECRET} failed", "key *** failed", id="anthropic"),
        pytest.param(f"sk-proj-{SECRET}_x-y", "***", id="openai"),
        pytest.param(f"'ak_{SECRET}'", "'***'", id="ours"),
        pytest.param(f"ghp_{SECRET}.", "***.", id="github"),
        pytest.param(f"github_pat_{SECRET}", "***", id="github fine-grained"),
        pytest.param(f"?key=AIza{SECRET}&a=b", "?key=***&a=b", id="google"),
        pytest.param(f"ya29.{SECRET}", "***", id="google oauth"),
        pytest.param(f"eyJ{SECRET}.eyJ{SECRET}.{SECRET}", "***", id="jwt"),
        pytest.param(f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***", id="bearer"),
        pytest.param(f"authorization: basic {SECRET}=", "authorization: basic ***", id="basic"),
        pytest.param(f"'X-Api-Key': '{SECRET}'", "'X-Api-Key': '***'", id="header in a dict"),
        pytest.param(f"x-api-key: {SECRET}", "x-api-key: ***", id="header"),
        pytest.param(f"('authorization', '{SECRET}')", "('authorization', '***')", id="pair"),
        pytest.param(
            f"grant_type=refresh_token&refresh_token={SECRET}&client_id=a",
            "grant_type=refresh_token&refresh_token=***&client_id=a",
            id="form",
        ),
        pytest.param(
            f'{{"access_token": "{SECRET}", "expires_in": 1}}',
            '{"access_token": "***", "expires_in": 1}',
            id="json",
        ),
        pytest.param(
            f'"{{\\"client_secret\\": \\"{SECRET}\\"}}"',
            '"{\\"client_secret\\": \\"***\\"}"',
            id="json in json",
        ),
        pytest.param(
            f"socks5://user:{SECRET}@10.0.0.1:1080/", "socks5://***@10.0.0.1:1080/", id="userinfo"
        ),
        pytest.param(f"http://{SECRET}@h", "http://***@h", id="user only"),
        pytest.param(f"mysql://u:a@{SECRET}/b@h/x", "mysql://***@h/x", id="unencoded password"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "account 0190a5c3 cooled down for 60 s",
        "https://api.anthropic.com/v1/messages",
        "security.admin_key: must have 32 to 512 characters",
        "input_tokens=12 output_tokens=30",
        "risk-assessment and task-manager-overview",
        "2026-11-20T10:19:03Z",
        "a@example.com wrote",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_are_masked_whatever_they_look_like() -> None:
    mask = KnownSecrets(["plain words as key", "pass/word+1", "short", ""]).mask
    assert mask("got plain words as key!") == "got ***!"
    assert mask("u=pass%2Fword%2B1") == "u=***"
    assert mask("a short word") == "a short word"
    assert KnownSecrets().mask(f"sk-{SECRET}") == "***"


def test_a_known_secret_that_holds_another_is_masked_whole() -> None:
    assert KnownSecrets(["abcdef", "abcdefghij"]).mask("abcdefghij") == "***"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("authorization", True), ("X-Api-Key", True), ("refresh_token", True), ("tokens", False)],
)
def test_fields_are_secret_by_name(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql+pymysql://u:p@h:1/n", "mysql+pymysql://u:***@h:1/n"),
        ("mysql://u:p@ss:w@h/n?ssl_key=x&a=b", "mysql://u:***@h/n?ssl_key=***&a=***"),
        ("redis://:p@h", "redis://:***@h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
        ("", ""),
    ],
)
def test_an_address_keeps_all_but_its_password(url: str, expected: str) -> None:
    assert mask_url(url) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\nb\r\nc", "a\\nb\\r\\nc"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("\u2028\u202e\ufeff", "\\u2028\\u202e\\ufeff"),
        ("\ud800", "\\ud800"),
        ("Zürich 東京 😀", "Zürich 東京 😀"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.text())
def test_whatever_the_text_it_comes_out_on_one_line(text: str) -> None:
    line = one_line(redact(text))
    assert line.isprintable()
    assert line.splitlines() in ([line], [])


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    # Each pattern meets its worst case; quadratic ones would take minutes.
    for part in (
        "://",
        "bearer ",
        "password=",
        "x-api-key:",
        "eyJaaaaaaaa.",
        "sk-",
        '"',
        "\\",
        "a@",
    ):
        redact(part * (60_000 // len(part)))
