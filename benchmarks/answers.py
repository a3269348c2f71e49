"""What the pretend provider says: whole answers and streams, of the Chat and Messages formats.

Each delta holds the word `zebu`, so that whoever counts it in an answer knows that all arrived,
translated or not. The sizes are those of real providers: a whole answer of about 850 bytes, some
300 bytes for a Chat event and 130 for a Messages event.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

CHUNKS: Final = 50
WORD: Final = b"zebu"
INPUT_TOKENS: Final = 25
_WORDS: Final = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again")
_SENTENCE: Final = "A reverse proxy asks the account whose turn it is, and rests those that fail. "
_CHAT: Final = {
    "id": "chatcmpl-7Qm2vXb0sKfR4tYw9LcZpN1dHgEaU",
    "created": 1_750_000_000,
    "model": "bench-2025-06-15",
    "service_tier": "default",
    "system_fingerprint": "fp_52c1a8e07d",
}
_JSON_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK: Final = b"0\r\n\r\n"
ERROR_BODY: Final = b'{"error":{"message":"bench: overloaded","type":"server_error","code":null}}'
ERROR: Final = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(ERROR_BODY), ERROR_BODY)
)


def chat(size: int = 0) -> bytes:
    """Return the body of a whole answer in the Chat format, of at least `size` bytes."""
    told = {
        **_CHAT,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": _text(size),
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            **_chat_usage(60),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
    return _compact(told)


def messages(size: int = 0) -> bytes:
    """Return the body of a whole answer in the Messages format, of at least `size` bytes."""
    told = {
        "id": "msg_01HsVbN4kXqT7yR2mWcJ9pLf",
        "type": "message",
        "role": "assistant",
        "model": "bench-2025-06-15",
        "content": [{"type": "text", "text": _text(size)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 60,
            "service_tier": "standard",
        },
    }
    return _compact(told)


def chat_events(texts: Iterable[str]) -> list[bytes]:
    """Return the events of a Chat stream, one for each text, and those around them."""

    def event(**fields: object) -> bytes:
        return b"data: %b\n\n" % _compact({**_CHAT, "object": "chat.completion.chunk", **fields})

    def choice(delta: dict[str, object], finish: str | None = None) -> list[dict[str, object]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    told = [event(choices=choice({"content": text})) for text in texts]
    return [
        event(choices=choice({"role": "assistant", "content": "", "refusal": None})),
        *told,
        event(choices=choice({}, "stop")),
        event(choices=[], usage=_chat_usage(len(told))),
        b"data: [DONE]\n\n",
    ]


def messages_events(texts: Iterable[str]) -> list[bytes]:
    """Return the events of a Messages stream, one for each text, and those around them."""

    def event(name: str, **fields: object) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), _compact({"type": name, **fields}))

    start: dict[str, object] = {
        "id": "msg_01HsVbN4kXqT7yR2mWcJ9pLf",
        "type": "message",
        "role": "assistant",
        "model": "bench-2025-06-15",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1},
    }
    told = [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        for text in texts
    ]
    return [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *told,
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": len(told)},
        ),
        event("message_stop"),
    ]


def texts(count: int = CHUNKS) -> list[str]:
    """Return what the deltas of a stream say."""
    return [f" {_WORDS[number % len(_WORDS)]} {WORD.decode()}" for number in range(count)]


def whole(body: bytes) -> bytes:
    """Return an answer with its head, as it goes over the wire."""
    return _JSON_HEAD % len(body) + body


def chunk(data: bytes) -> bytes:
    """Return data as one chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def written(events: Sequence[bytes]) -> list[bytes]:
    """Return a stream as pieces for the wire: one chunk for each event, head and end included."""
    pieces = [chunk(event) for event in events]
    pieces[0] = STREAM_HEAD + pieces[0]
    pieces[-1] += LAST_CHUNK
    return pieces


def _text(size: int) -> str:
    return _SENTENCE * max(3, size // len(_SENTENCE)) + WORD.decode()


def _chat_usage(output: int) -> dict[str, object]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": output,
        "total_tokens": INPUT_TOKENS + output,
    }


def _compact(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
