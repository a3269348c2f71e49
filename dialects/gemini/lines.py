"""Frames of a Gemini stream: one `data:` line each, and nothing else.

Google's SDK takes any line without `data: ` for JSON, and cuts lines where Python's `splitlines`
does: also at three characters that JSON does not escape.
"""

from typing import Final

END: Final = b"\r\n\r\n"
_CUTTING: Final = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def frame(data: bytes) -> bytes:
    """Return one frame around JSON."""
    return b"data: %b%b" % (one_line(data), END)


def one_line(data: bytes) -> bytes:
    """Return JSON that no reader takes for two lines."""
    if data.isascii():
        return data
    for character, escape in _CUTTING:
        data = data.replace(character, escape)
    return data
