"""The other form of a stream: one JSON array that grows, for clients without `alt=sse`."""

import sys

from dialects.sse import Parser


class ArrayWriter:
    """Turns the frames of a stream into elements of one array, an error being the last."""

    def __init__(self) -> None:
        # Whoever made the frames has bounded them; one that was left out here would be missed by
        # nobody, for the array ends well.
        self._parser = Parser(limit_bytes=sys.maxsize)
        self._is_open = False

    def feed(self, data: bytes) -> bytes:
        """Return the elements that `data` completes."""
        return b"".join([self._element(found) for _, found in self._parser.feed(data)])

    def end(self) -> bytes:
        """Return what closes the array; an empty one when nothing came."""
        rest = b"".join([self._element(found) for _, found in self._parser.end()])
        return rest + (b"]" if self._is_open else b"[]")

    def _element(self, data: bytes) -> bytes:
        head = b",\n" if self._is_open else b"["
        self._is_open = True
        return head + data
