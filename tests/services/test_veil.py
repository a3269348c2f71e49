import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UpstreamError
from services.veil import hidden, hidden_frames, hide

SECRET = 'ab/c+"d\\e=%f'
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)
KEYS = VISIBLE.map("sk-".__add__)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": f"bad key {SECRET}"}}),
        json.dumps({"error": SECRET}).replace("/", "\\/"),
        '{"error":"' + "".join(f"\\u{ord(letter):04x}" for letter in SECRET) + '"}',
        json.dumps({"error": {SECRET: [SECRET, {"a": SECRET}]}}),
        "no JSON but ab%2Fc%2B%22d%5Ce%3D%25f",
    ],
)
def test_a_credential_is_hidden_however_it_is_written(body: str) -> None:
    shown = hidden(body.encode(), SECRET).decode()
    assert "***" in shown
    assert "ab" not in shown.replace("able", "")
    if body.startswith("{"):
        assert SECRET not in str(json.loads(shown))


def test_an_error_shows_it_nowhere() -> None:
    error = UpstreamError(
        f"refused {SECRET}",
        path=SECRET,
        vendor_code=f"x{SECRET}",
        upstream_body=json.dumps({"m": SECRET}).encode(),
    )
    error.remedy = f"open https://x.test/?key={SECRET}"
    hide(error, SECRET)
    assert error.remedy == "open https://x.test/?key=***"
    assert (error.message, error.path, error.vendor_code) == ("refused ***", "***", "x***")
    assert error.upstream_body == b'{"m": "***"}'


@given(KEYS, st.integers(min_value=8))
def test_a_piece_of_a_credential_at_which_a_text_was_cut_is_hidden(key: str, cut: int) -> None:
    piece = key[: min(cut, len(key) - 1)]
    for end in ("", "..."):
        error = UpstreamError(f"refused {piece}{end}")
        error.evidence = f"said {key}, {piece}"
        hide(error, key)
        # A key may end with a dot itself, which then is one of the three.
        assert error.message.rstrip(".") == "refused ***"
        assert error.evidence.rstrip(".") == "said ***, ***"


@given(KEYS, st.text(max_size=20))
def test_json_stays_json_and_hides_any_credential(secret: str, text: str) -> None:
    body = json.dumps({"error": {"message": f"{text}{secret}{text}", "kept": 1.0}}).encode()
    told = json.loads(hidden(body, secret))
    assert told == {"error": {"message": f"{text}***{text}", "kept": 1.0}}


def test_what_holds_no_credential_stays_byte_for_byte() -> None:
    body = b'{ "big": 123456789012345678901, "e": "\\u00e9", "x": 1.10 }'
    assert hidden(body, SECRET) is body
    assert hidden(body, "") is body
    assert hidden(b'{"a":"b"}', "a") == b'{"a":"b"}'


def test_frames_hide_it_and_stay_frames() -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    frames = f'event: error\ndata: {{"error":"{escaped}"}}\n\n: {SECRET}\n\n'
    assert hidden_frames(frames.encode(), SECRET) == (
        b'event: error\ndata: {"error":"***"}\n\n: ***\n\n'
    )
    plain = b'data: {"a":"\\u00e9"}\r\n\r\ndata: [DONE]\n\n'
    assert hidden_frames(plain, SECRET) == plain
