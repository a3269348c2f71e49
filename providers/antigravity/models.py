"""Which models an account of Code Assist has, and what is left of their quotas."""

import re
from collections.abc import Iterator
from typing import Final

from dialects.base import ModelEntry
from models.account import Account
from models.json_types import Json, JsonObject
from providers.antigravity.envelope import project_of
from providers.base import Step
from providers.waits import moment_in

# Models of the editors' own features: completion of lines, chat in the side bar.
_INTERNAL: Final = re.compile(r"(?:chat|tab)_|\d+$", re.IGNORECASE)


class AvailableModels:
    """The answer of `fetchAvailableModels`: models by name, with the quota of who asks."""

    def request(self, account: Account) -> Step:
        project = project_of(account)
        payload: JsonObject = {} if project is None else {"project": project}
        return Step("POST", "/v1internal:fetchAvailableModels", payload)

    def read(self, payload: JsonObject) -> list[ModelEntry]:
        """Return the models without those that are not meant to be asked for by name."""
        return [
            ModelEntry(name, "", display_name=_text(model.get("displayName")))
            for name, model in _models(payload)
            if _INTERNAL.match(name) is None
        ]

    def used_up(self, payload: JsonObject) -> dict[str, float]:
        """Return model -> epoch second at which its quota is full again, where none is left."""
        found = {}
        for name, model in _models(payload):
            quota = model.get("quotaInfo")
            if isinstance(quota, dict) and _is_used_up(quota):
                opens_at = moment_in(_text(quota.get("resetTime")) or "")
                if opens_at is not None:
                    found[name] = opens_at
        return found


def _is_used_up(quota: JsonObject) -> bool:
    # As everywhere in Google's JSON a zero is left out.
    left: Json = quota.get("remainingFraction", 0)
    try:
        is_nothing = not isinstance(left, dict | list) and float(left or 0) <= 0
    except (ValueError, OverflowError):
        is_nothing = False
    return is_nothing or quota.get("isExhausted") is True


def _models(payload: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    models = payload.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        if name and isinstance(model, dict):
            yield name, model


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
