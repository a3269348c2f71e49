"""Frames that differ in their text only are read as if each were parsed, and others are parsed."""

import json
from collections.abc import Sequence
from typing import overload

import pytest

from dialects import DIALECTS
from dialects.base import Dialect
from dialects.template import Template
from models.content import Part, Reasoning, Text
from models.events import collect
from models.json_types import Json, JsonObject
from models.profile import Profile


def read(payload: JsonObject) -> str:
    """Return the text of the frames below."""
    text = payload.get("text")
    return text if isinstance(text, str) else ""


def frame(data: bytes) -> bytes:
    """Return a frame as `Parser.frames` has it: without its blank line."""
    return b"event: said\ndata: " + data


def learned(data: bytes) -> Template:
    template = Template()
    template.learn(frame(data), read(json.loads(data)), read)
    return template


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"n":1,"text":"Hello"}', "Hello"),
        ('{"n":1,"text":"Größe"}'.encode(), "Größe"),
        (b'{"n":1,"text":"a\\nb \\u00fc \\"c\\" \\\\"}', 'a\nb ü "c" \\'),
        (b'{"n":1,"text":"a\x7fb"}', "a\x7fb"),
        (b'{"n":2,"text":"Hello"}', None),
        (b'{"n":1,"text":"Hello","m":2}', None),
        (b'{"n":1,"text":"a","text":"b"}', None),
        (b'{"n":1,"text":"a\\"}', None),
        (b'{"n":1,"text":"a\nb"}', None),
        (b'{"n":1,"text":"\xff"}', None),
        (b'{"n":1,"text":"\\ud83d"}', None),
        (b'{"n":1,"text":""}', None),
        (b'{"n":1,"text":"}', None),
    ],
)
def test_only_a_frame_with_the_same_ends_and_one_text_is_known(
    data: bytes, text: str | None
) -> None:
    texts = learned(b'{"n":1,"text":"first"}').texts([frame(data)])
    assert texts == ([] if text is None else [text])


def test_frames_are_read_up_to_the_first_that_is_another() -> None:
    one, two, other = b'{"text":"one"}', b'{"text":"two"}', b'{"text":"three","n":1}'
    frames = [frame(data) for data in (other, one, two, other, one)]
    assert learned(b'{"text":"first"}').texts(frames, 1) == ["one", "two"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('{"sequence_number":1,"text":"a","obfuscation":"x"}', "a"),
        ('{"sequence_number":22,"text":"a \\"b\\"","obfuscation":""}', 'a "b"'),
        ('{"sequence_number":22,"text":"a","obfuscation":"\\u00e9\\"-"}', "a"),
        (
            '{"sequence_number":22,"text":"\\",\\"obfuscation\\":","obfuscation":"x"}',
            '","obfuscation":',
        ),
        ('{"sequence_number":007,"text":"a","obfuscation":"x"}', None),
        ('{"sequence_number":1,"text":5,"obfuscation":"x"}', None),
        ('{"sequence_number":1,"n":1,"text":"a","obfuscation":"x"}', None),
        ('{"sequence_number":1,"text":"a","text":"b","obfuscation":"x"}', None),
        ('{"sequence_number":1,"text":"a","obfuscation":"x","text":"b"}', None),
        ('{"sequence_number":1,"text":"a","obfuscation":x}', None),
        ('{"sequence_number":1,"text":"a"}', None),
    ],
)
def test_noise_around_the_text_may_be_any_one_value(data: str, text: str | None) -> None:
    template = learned(b'{"sequence_number":7,"text":"first","obfuscation":"hm"}')
    assert template.texts([frame(data.encode())]) == ([] if text is None else [text])


class Looked(Sequence[bytes]):
    """Frames that count how often one of them was looked at."""

    def __init__(self, frames: list[bytes]) -> None:
        self.looks = 0
        self._frames = frames

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        self.looks += 1
        return self._frames[at]

    def __len__(self) -> int:
        return len(self._frames)


def test_frames_of_two_kinds_by_turns_are_looked_at_twice_at_most() -> None:
    template = learned(b'{"text":"first"}')
    known, other = frame(b'{"text":"a"}'), frame(b'{"text":"a","n":1}')
    frames = Looked([known, other] * 50)
    taken = [text for at in range(0, 100, 2) for text in template.texts(frames, at)]
    assert taken == ["a"] * 50
    assert frames.looks == 100


def test_another_event_with_the_same_data_is_not_known() -> None:
    template = learned(b'{"text":"first"}')
    assert template.texts([b'event: meant\ndata: {"text":"second"}']) == []


def test_the_same_words_elsewhere_are_not_taken_for_the_text() -> None:
    template = learned(b'{"other":"first","text":"f\\u0069rst"}')
    assert template.texts([frame(b'{"other":"second","text":"f\\u0069rst"}')]) == []


def test_what_was_forgotten_is_not_known_any_more() -> None:
    template = learned(b'{"text":"first"}')
    template.forget()
    assert template.texts([frame(b'{"text":"second"}')]) == []


def test_parts_of_one_piece_each_do_not_keep_a_long_one_from_being_learned() -> None:
    template = Template()
    for _ in range(5):
        template.learn(frame(b'{"text":"once"}'), "once", read)
        template.forget()
    template.learn(frame(b'{"text":"first"}'), "first", read)
    assert template.texts([frame(b'{"text":"second"}')]) == ["second"]


def test_frames_that_never_fit_are_soon_not_learned_any_more() -> None:
    template = Template()
    for number in range(5):
        template.learn(frame(b'{"n":%d,"text":"a"}' % number), "a", read)
    assert template.texts([frame(b'{"n":4,"text":"b"}')]) == []


def told(dialect: Dialect, payloads: list[JsonObject]) -> tuple[Part, ...]:
    """Return what is read of a stream of these, whether it comes at once or frame by frame."""
    frames = [
        b"data: %b\n\n" % json.dumps(payload, ensure_ascii=False).encode() for payload in payloads
    ]
    frames.append(b"data: [DONE]\n\n")
    at_once, one_by_one = (read_of(dialect, reads) for reads in ([b"".join(frames)], frames))
    assert at_once == one_by_one
    return at_once


def read_of(dialect: Dialect, reads: list[bytes]) -> tuple[Part, ...]:
    decoder = dialect.decoder(Profile("m"))
    events = [event for data in reads for event in decoder.feed(data)]
    return collect([*events, *decoder.end()]).parts


def chat(key: str, text: str) -> JsonObject:
    return {"id": "a", "choices": [{"index": 0, "delta": {key: text}, "finish_reason": None}]}


def test_a_chat_stream_that_turns_from_thought_to_text_keeps_both() -> None:
    texts = ["one", " two", " \n", " drei ü", " four", ' "five"', " six"]
    thoughts = [chat("reasoning_content", text) for text in texts]
    parts = told(DIALECTS["chat"], [*thoughts, *[chat("content", text) for text in texts]])
    assert parts == (Reasoning("".join(texts)), Text("".join(texts)))


def test_a_text_after_a_single_thought_is_no_part_of_the_thought() -> None:
    texts = [chat("content", text) for text in ("one", " two", " three")]
    parts = told(DIALECTS["chat"], [*texts, chat("reasoning_content", "hm"), *texts])
    assert parts == (Text("one two three"), Reasoning("hm"), Text("one two three"))


def messages(kind: str, key: str, text: str) -> JsonObject:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: text}}


def test_a_messages_stream_that_turns_from_thought_to_text_and_back_keeps_all() -> None:
    texts = ["one", " two", " \n", " drei ü", " four"]
    said = [messages("text_delta", "text", text) for text in texts]
    thought = [messages("thinking_delta", "thinking", text) for text in texts]
    end: dict[str, Json] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    parts = told(DIALECTS["messages"], [*said, *thought, *said, end, {"type": "message_stop"}])
    whole = "".join(texts)
    assert parts == (Text(whole), Reasoning(whole, origin="anthropic"), Text(whole))


@pytest.mark.parametrize("key", ["obfuscation", "sequence_number", "fingerprint"])
def test_frames_of_which_no_two_are_alike_keep_their_texts(key: str) -> None:
    payloads: list[JsonObject] = [
        {**chat("content", f" {number}"), key: "x" * (number % 7)} for number in range(40)
    ]
    assert told(DIALECTS["chat"], payloads) == (Text("".join(f" {n}" for n in range(40))),)
