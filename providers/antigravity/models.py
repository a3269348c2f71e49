"""Which models an account of Code Assist has, and what is left of their quotas."""

import re
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from typing import Final

from dialects.base import ModelEntry
from models.account import Account
from models.json_types import Json, JsonObject
from models.quota import QuotaWindow
from providers.antigravity.envelope import project_of
from providers.base import Step
from providers.waits import moment_in

# Models of the editors' own features: completion of lines, chat in the side bar.
_INTERNAL: Final = re.compile(r"(?:chat|tab)_|\d+$", re.IGNORECASE)
_WINDOW: Final = "quota"
"""Code Assist does not name it; it lasts from hours to a week, by tier and model."""


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

    def quotas(self, payload: JsonObject, now: float) -> list[QuotaWindow]:
        """Return one window for each model of which the share that is left is told."""
        found = []
        for name, model in _models(payload):
            quota = model.get("quotaInfo")
            used = _used_ratio(quota) if isinstance(quota, dict) else None
            if used is not None and isinstance(quota, dict):
                resets_at = moment_in(_text(quota.get("resetTime")) or "")
                window = QuotaWindow("", name[:255], _WINDOW, used, resets_at=resets_at)
                found.append(replace(window, source="probe", updated_at=now))
        return found


def _used_ratio(quota: JsonObject) -> float | None:
    if quota.get("isExhausted") is True:
        return 1.0
    # As everywhere in Google's JSON a zero is left out.
    left: Json = quota.get("remainingFraction", 0 if "resetTime" in quota else None)
    if left is None or isinstance(left, dict | list):
        return None
    try:
        share = float(left)
    except (ValueError, OverflowError):
        return None
    return 1.0 - min(max(share, 0.0), 1.0) if isfinite(share) else None


def _models(payload: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    models = payload.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        if name and isinstance(model, dict):
            yield name, model


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
