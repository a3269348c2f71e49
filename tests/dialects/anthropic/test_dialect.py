import anthropic.types
import orjson
import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Inspected, ModelEntry
from models.errors import BadRequest, ErrorKind
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.anthropic.support import block, frames, request, stream

# --- the raw path -----------------------------------------------------------------------------


def inspect(body: bytes) -> Inspected:
    return MESSAGES.inspect(body, orjson.loads(body))


def test_what_is_routed_and_billed_is_read() -> None:
    assert inspect(orjson.dumps(request(stream=True))) == Inspected("m", True)
    assert inspect(b'{"model":"m","messages":[{"any":"thing"}]}') == Inspected("m", False)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"messages":[]}', "model"),
        (b'{"model":"","messages":[]}', "model"),
        (b'{"model":7,"messages":[]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":"Hi"}', "messages"),
        (b'{"model":"m","messages":[],"stream":"yes"}', "stream"),
        (b'{"model":"m","messages":[],"stream":1}', "stream"),
        (b'{"model":"m","messages":[],"max_tokens":"9"}', "max_tokens"),
        (b'{"model":"m","messages":[],"max_tokens":1.5}', "max_tokens"),
        (b'{"model":"m","messages":[],"max_tokens":-1}', "max_tokens"),
        (b'{"model":"m","messages":[],"model":"n"}', "model"),
        (b'{"model":"m","messages":[],"\\u0073tream":false,"stream":true}', "stream"),
        (b'{"model":"m","max_tokens":1,"messages":[],"max_tokens":2}', "max_tokens"),
        (b'{"model":"m","messages":[1],"messages":[]}', "messages"),
    ],
)
def test_wrong_or_doubled_fields_are_refused(body: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        inspect(body)
    assert caught.value.path == path


def test_a_raw_body_keeps_every_other_byte() -> None:
    body = b'{ "n": 1.50, "model" : "alias",\n"messages":[]}'
    payload: JsonObject = orjson.loads(body)
    assert MESSAGES.prepare_raw(body, payload, "alias", ask_usage=True) == (body, False)
    assert MESSAGES.prepare_raw(body, payload, "alias", ask_usage=True)[0] is body
    changed, asked = MESSAGES.prepare_raw(body, payload, 'claude-"x"', ask_usage=True)
    assert changed == b'{ "n": 1.50, "model" : "claude-\\"x\\"",\n"messages":[]}'
    assert asked is False


TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "message_stop"})
WHOLE = stream(TEXT)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_the_sniffer_reads_usage_and_end_and_changes_nothing(line_end: bytes) -> None:
    raw = WHOLE.replace(b"\n", line_end)
    sniffer = MESSAGES.sniffer(hide_usage=True)
    assert sniffer.feed(raw) is raw
    assert (sniffer.usage, sniffer.ended, sniffer.started, sniffer.error) == (
        Usage(25, 40, 100, 7),
        True,
        True,
        None,
    )


def test_the_sniffer_follows_a_stream_frame_by_frame() -> None:
    sniffer = MESSAGES.sniffer(hide_usage=False)
    seen = []
    for piece in WHOLE.split(b"\n\n")[:-1]:
        sniffer.feed(piece + b"\n\n")
        seen.append((sniffer.started, sniffer.ended, sniffer.usage.output_tokens))
    assert seen == [
        (False, False, 1),
        (True, False, 1),
        (True, False, 1),
        (True, False, 1),
        (True, False, 40),
        (True, True, 40),
    ]


def test_the_sniffer_sees_an_error_before_any_content() -> None:
    sniffer = MESSAGES.sniffer(hide_usage=False)
    told: JsonObject = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    sniffer.feed(WHOLE.split(b"\n\n")[0] + b"\n\n" + frames({"type": "ping"}, told))
    assert not sniffer.started
    assert not sniffer.ended
    assert sniffer.error is not None
    assert (sniffer.error.kind, sniffer.error.message) == (ErrorKind.OVERLOADED, "Busy")
    assert sniffer.error.upstream_body == orjson.dumps(told)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n\n", b'data: {"message_start": \n\n', b'data: ["error"]\n\n', b'\xff"error"\n\n'],
)
def test_the_sniffer_never_stumbles(raw: bytes) -> None:
    sniffer = MESSAGES.sniffer(hide_usage=False)
    assert sniffer.feed(raw) is raw
    assert (sniffer.usage, sniffer.ended, sniffer.error) == (Usage(), False, None)


def test_the_sniffer_keeps_the_very_words_of_an_error() -> None:
    data = b'{"type": "error", "error":' + b"[" * 1000 + b"]" * 1000 + b"}"
    sniffer = MESSAGES.sniffer(hide_usage=False)
    sniffer.feed(b"event: error\ndata: " + data + b"\n\n")
    assert sniffer.error is not None
    told = b'{"type": "error", "error": {"type":"api_error", "message":"m"}}'
    sniffer.feed(b"event: error\ndata: " + told + b"\n\n")
    assert sniffer.error.upstream_body == told


def test_a_ping_is_a_frame_of_its_own() -> None:
    assert MESSAGES.ping == b'event: ping\ndata: {"type":"ping"}\n\n'


# --- models -----------------------------------------------------------------------------------


def test_a_model_list_satisfies_the_official_sdk() -> None:
    entries = [ModelEntry("a", "p", 1_759_104_000, "Model A"), ModelEntry("b", "p")]
    written = MESSAGES.encode_models(entries)
    assert written == {
        "data": [
            {
                "type": "model",
                "id": "a",
                "display_name": "Model A",
                "created_at": "2025-09-29T00:00:00Z",
                "lifecycle": "active",
            },
            {
                "type": "model",
                "id": "b",
                "display_name": "b",
                "created_at": "1970-01-01T00:00:00Z",
                "lifecycle": "active",
            },
        ],
        "has_more": False,
        "first_id": "a",
        "last_id": "b",
    }
    one = anthropic.types.ModelInfo.model_validate(MESSAGES.encode_model(entries[0]))
    assert one.display_name == "Model A"


def test_an_empty_model_list() -> None:
    assert MESSAGES.encode_models([]) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (
            [{"id": "a", "created_at": "2025-09-29T00:00:00Z", "display_name": "A"}],
            [ModelEntry("a", "", 1_759_104_000, "A")],
        ),
        ([{"id": "a", "created_at": "2025-09-29"}], [ModelEntry("a", "", 1_759_104_000)]),
        ([{"id": "a", "created_at": "soon"}, {"id": 7}, 3, {}], [ModelEntry("a", "")]),
        ({}, []),
        (None, []),
    ],
)
def test_a_model_list_is_read_without_trust(data: Json, entries: list[ModelEntry]) -> None:
    assert MESSAGES.read_models({"data": data}) == entries


def test_a_written_model_list_reads_back() -> None:
    entries = [ModelEntry("a", "", 1_759_104_000, "Model A"), ModelEntry("b", "", 0, "B")]
    assert MESSAGES.read_models(MESSAGES.encode_models(entries)) == entries


def test_a_far_future_does_not_break_the_list() -> None:
    written = MESSAGES.encode_model(ModelEntry("a", "p", 10**15))
    assert written["created_at"] == "9999-12-31T23:59:59Z"
