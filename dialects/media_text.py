"""Media in an answer, for clients whose format has only text there.

Gemini draws pictures. As Markdown with a data URL nothing of them is lost and many programs show
them; what Markdown does not know is at least named.
"""

from models.content import Inline, Media, Remote


def media_text(part: Media) -> str:
    """Return a picture as Markdown, a note of anything else."""
    match part.source:
        case Inline(mime, data) if part.kind == "image":
            return f"![image](data:{mime};base64,{data})"
        case Remote(url) if part.kind == "image":
            return f"![image]({url})"
        case Inline(mime, _):
            return f"[{part.kind} of type {mime} left out]"
        case _:
            return f"[{part.kind} left out]"
