"""The pages that a browser sees at the end of a login: fixed texts, nothing of the address in them.

No script, no form, no foreign address; a page that shows nothing of what it was asked with can be
made to show nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final

from services.logins import Page

_STYLE: Final = """\
body{max-width:34rem;margin:4rem auto;padding:0 1rem;font:1.05rem/1.55 system-ui,sans-serif;\
color:#1c1c1c;background:#fff}
h1{font-size:1.4rem}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

STATUSES: Final[Mapping[Page, int]] = {
    "done": 200,
    "paste": 200,
    "gone": 400,
    "refused": 400,
    "failed": 502,
}
_TEXTS: Final[Mapping[Page, tuple[str, str]]] = {
    "done": ("Logged in", "The account is ready. You may close this page."),
    "paste": (
        "One step is left",
        "Copy the whole address of this page and give it to the gateway as `text` of "
        "POST /api/v1/oauth/exchange, with the key that began this login. It works once, and only "
        "for a few minutes.",
    ),
    "gone": (
        "This login is over",
        "It was ended before, has expired, or never was. Begin a new one.",
    ),
    "refused": (
        "Not logged in",
        "The provider or somebody before it refused this login. The gateway tells why under the "
        "id of the login. Begin a new one.",
    ),
    "failed": (
        "Not logged in",
        "The login did not come to its end. The gateway tells why under the id of the login. "
        "Begin a new one.",
    ),
}


def page(name: Page) -> bytes:
    """Return a page as HTML."""
    title, text = _TEXTS[name]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<main><h1>{escape(title)}</h1><p>{escape(text)}</p></main></html>"
    ).encode()
