"""Frames of a stream that differ in their text only, read and written without JSON for each.

Most servers write the same bytes around each piece of an answer. Once one frame was parsed,
what stands before and after its text is known: a frame with the same two ends, and one JSON
string between them, says the same but for that text. OpenAI's servers put noise into each frame, a
number or a random word that nobody reads: on either side of the text, the value of one such field
may be any. Servers that put something else into every frame never match, and are parsed as ever.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import orjson

from dialects.fields import dumps, parse_lenient
from dialects.sse import read_frame
from models.json_types import JsonObject

_MAX_FRUITLESS: Final = 3
_PROBE: Final = "?probe?"
_NOISE: Final = re.compile(rb'"(?:obfuscation|sequence_number)": ?("[^"]*"|[0-9]+)')


class Template:
    """What stands around the text of one kind of frame.

    `head`, text, `tail`, where the two ends include its quotes. With noise before the text `head`,
    noise, `lead`, text; with noise behind it text, `trail`, noise, `tail`.
    """

    __slots__ = ("_between", "_fruitless", "_head", "_is_noisy", "_lead", "_tail", "_trail")

    def __init__(self) -> None:
        self._head = self._lead = self._trail = self._tail = b""
        self._is_noisy = False
        self._between = slice(0)  # what stands between the two ends, the quotes of a text included
        self._fruitless = 0  # how often it was learned since it fitted last

    def texts(self, frames: Sequence[bytes], at: int = 0) -> list[str]:
        """Return the texts of the frames from `at` on, up to the first that is not like the one
        learned, or has no text."""
        head, tail, between, is_noisy = self._head, self._tail, self._between, self._is_noisy
        texts: list[str] = []
        if not head:
            return texts
        try:
            for place in range(at, len(frames)):
                frame = frames[place]
                if not (frame.startswith(head) and frame.endswith(tail)):
                    break
                inner = frame[between]
                # It begins with a quote: it is one string, or no JSON.
                text: str = orjson.loads(self._without_noise(inner) if is_noisy else inner)
                if not text:
                    break
                texts.append(text)
        except orjson.JSONDecodeError:
            pass
        if texts:
            self._fruitless = 0
        return texts

    def learn(self, frame: bytes, text: str, read: Callable[[JsonObject], str]) -> None:
        """Learn from a frame in which `read` found `text`; it must find another text, too."""
        if self._fits(frame):
            return
        before, found, after = frame.partition(dumps(text))
        if not found or self._fruitless == _MAX_FRUITLESS:
            self._drop()
            return
        self._fruitless += 1
        self._keep(before, after)
        probe = read_frame(self._probe())
        payload = None if probe is None else parse_lenient(probe[1])
        if payload is None or read(payload) != _PROBE:
            self._drop()

    def forget(self) -> None:
        """Frames to come mean something else, and may be alike again."""
        self._fruitless = 0
        self._drop()

    def _drop(self) -> None:
        self._head = self._lead = self._trail = self._tail = b""

    def _keep(self, before: bytes, after: bytes) -> None:
        """Take what stands before and after a text, and its quotes, for what all frames have."""
        self._head, self._lead = _parted(before) or (before + b'"', b"")
        self._trail, self._tail = _parted(after) or (b"", b'"' + after)
        self._is_noisy = bool(self._lead or self._trail)
        begin, end = len(self._head), -len(self._tail)
        self._between = slice(begin - (not self._lead), end + (not self._trail))

    def _fits(self, frame: bytes) -> bool:
        head, tail = self._head, self._tail
        return bool(head) and frame.startswith(head) and frame.endswith(tail)

    def _without_noise(self, inner: bytes) -> bytes:
        """Return the text, in its quotes, of what stands between the two ends; nothing where it is
        no text. Raises JSONDecodeError where the noise is not one value."""
        if self._lead:
            noise, _, inner = inner.partition(self._lead)
            orjson.loads(noise)
        if self._trail:
            inner, _, noise = inner.rpartition(self._trail)
            orjson.loads(noise)
        return inner if inner.startswith(b'"') else b""

    def _probe(self) -> bytes:
        """Return a frame like the one learned with another text, and other noise."""
        before = self._head + b"1" + self._lead + b'"' if self._lead else self._head
        after = b'"' + self._trail + b"1" + self._tail if self._trail else self._tail
        return before + _PROBE.encode() + after


def _parted(piece: bytes) -> tuple[bytes, bytes] | None:
    """Return what stands before and after the noise in a piece of a frame, if there is any."""
    noise = _NOISE.search(piece)
    return None if noise is None else (piece[: noise.start(1)], piece[noise.end(1) :])


def filled(head: bytes, texts: Iterable[str], tail: bytes) -> bytes:
    """Return a frame for each of the texts, one at least, between the same two ends."""
    return head + (tail + head).join(map(dumps, texts)) + tail
