"""Providers' words made safe to show: no keys, addresses, account names or control characters."""

import re
from typing import Final

from dialects.fields import mended

_SECRETS: Final = re.compile(
    r"""
      \b(?:sk|pk|rk|ak|xai|gsk)[-_][A-Za-z0-9_*.\-]{6,}          # API keys, masked ones too
    | \bBearer\s+[A-Za-z0-9._~+/\-]+=*                           # authorization headers
    | \beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+)*              # JSON web tokens
    | \b[0-9a-f]{32}\.[A-Za-z0-9]{8,}                            # GLM keys: id.secret
    | \bAIza[A-Za-z0-9_\-]{8,}                                   # Google API keys
    | \bya29\.[A-Za-z0-9_\-]+                                    # Google access tokens
    | [A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})+
    | \b(?:org|proj|user|acct|account|team|workspace|wrkspc|key)[-_](?=[A-Za-z]*\d)[A-Za-z0-9]{8,}
    | \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b   # organisation UUIDs
    """,
    re.VERBOSE,
)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_MAX_LENGTH: Final = 2000


def scrubbed(message: str, fallback: str) -> str:
    """Return the message without secrets and controls; `fallback` when nothing is left."""
    plain = _CONTROLS.sub(" ", mended(message[: 4 * _MAX_LENGTH]))
    text = _SECRETS.sub("***", plain).strip()
    if len(text) > _MAX_LENGTH:
        text = text[:_MAX_LENGTH] + "..."
    return text or fallback
