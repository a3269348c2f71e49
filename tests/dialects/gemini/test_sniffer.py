"""Looking on while a stream of Google's passes untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.base import Sniffer
from dialects.gemini import GEMINI
from models.errors import ErrorKind
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.gemini.support import answer, stream, usage

FIRST = answer({"text": "a"}, **usage(promptTokenCount=8, totalTokenCount=8))
LAST = answer(
    {"text": ""},
    finishReason="STOP",
    **usage(promptTokenCount=8, candidatesTokenCount=2, totalTokenCount=10),
)
BLOCKED: JsonObject = {"promptFeedback": {"blockReason": "SAFETY"}}
ERROR: JsonObject = {"error": {"code": 503, "message": "full", "status": "UNAVAILABLE"}}
TRICKY = answer(
    {"text": '"error" "finishReason":"STOP" "usageMetadata"'},
    {"functionCall": {"name": "f", "args": {"error": 1, "finishReason": "x", "usageMetadata": {}}}},
)


def sniffed(*payloads: Json) -> Sniffer:
    """Look at a stream at once and piece by piece; both must see the same."""
    at_once, apart = GEMINI.sniffer(hide_usage=False), GEMINI.sniffer(hide_usage=True)
    whole = stream(*payloads)
    assert at_once.feed(whole) is whole
    for payload in payloads:
        apart.feed(stream(payload))
    seen = [(one.usage, one.ended, one.finished, one.started) for one in (at_once, apart)]
    assert seen[0] == seen[1]
    return at_once


@pytest.mark.parametrize(
    ("payloads", "started", "finished", "expected"),
    [
        ((), False, False, Usage()),
        ((FIRST,), True, False, Usage(8, 0)),
        ((FIRST, LAST), True, True, Usage(8, 2)),
        ((LAST, {"usageMetadata": {"promptTokenCount": 9}}), True, True, Usage(9, 2)),
        ((BLOCKED,), False, True, Usage()),
        ((FIRST, ERROR), True, False, Usage(8, 0)),
        ((TRICKY,), True, False, Usage()),
        ((FIRST, TRICKY), True, False, Usage(8, 0)),
    ],
)
def test_what_is_seen(
    payloads: tuple[JsonObject, ...], started: bool, finished: bool, expected: Usage
) -> None:
    seen = sniffed(*payloads)
    assert (seen.started, seen.finished, seen.usage) == (started, finished, expected)
    assert not seen.ended  # only the end of the stream is its end


@pytest.mark.parametrize("told", [ERROR, [ERROR]], ids=["object", "list"])
def test_an_error_is_seen(told: Json) -> None:
    error = sniffed(FIRST, told).error
    assert error is not None
    assert (error.kind, error.message) == (ErrorKind.OVERLOADED, "full")
    assert sniffed(TRICKY).error is None


@given(
    st.lists(
        st.sampled_from(
            [b'"usageMetadata"', b'"error"', b"data: ", b"{", b"\n\n", b"\r\n\r\n", b"x"]
        )
    )
)
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    frames = b"".join(pieces)
    assert GEMINI.sniffer(hide_usage=False).feed(frames) is frames


COUNTS = st.sampled_from(
    ["promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount", "thoughtsTokenCount"]
)


@given(st.lists(st.lists(st.dictionaries(COUNTS, st.integers(0, 200)), max_size=2), max_size=6))
def test_counts_that_are_read_late_are_those_that_were_told(
    reads: list[list[dict[str, int]]],
) -> None:
    sniffer, expected = GEMINI.sniffer(hide_usage=False), Usage()
    for told in reads:
        frames = stream(*[usage(**counts) for counts in told])
        alone = GEMINI.sniffer(hide_usage=False)
        for one in (sniffer, alone):
            one.feed(frames)
        expected = expected.updated(alone.usage)
    assert sniffer.usage == expected


def test_a_count_that_a_later_read_leaves_out_is_kept() -> None:
    sniffer = GEMINI.sniffer(hide_usage=False)
    for counts in (
        [usage(candidatesTokenCount=2), usage(promptTokenCount=8)],
        [usage(candidatesTokenCount=3), usage(promptTokenCount=8)],
        [usage(promptTokenCount=8)],
    ):
        sniffer.feed(stream(*counts))
    assert sniffer.usage == Usage(8, 3)
