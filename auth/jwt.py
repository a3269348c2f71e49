"""What a JSON Web Token says, read for display and routing only: no signature is checked.

That suffices for tokens which came straight from the provider over TLS (OpenID Connect Core 1.0
section 3.1.3.7); nothing here decides what anybody may do.
"""

import base64

import orjson

from models.json_types import JsonObject


def claims_of(token: str) -> JsonObject:
    """Return the claims of a token; none for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
