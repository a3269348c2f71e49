"""Finds the project that an account's calls belong to, and lets the account in on its first use.

    loadCodeAssist -> has a tier and a project: that is it
                   -> has none yet: onboardUser -> ask after the operation until it is done

An operator who names the project in the account's metadata (`project_id`) spares all this.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final, NoReturn

from models.account import Account
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from providers.antigravity.envelope import project_of
from providers.base import Step

_BASE: Final = "/v1internal"
# What we are is in none of their lists. The last says whose tier is asked for.
_METADATA: Final[JsonObject] = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
_FALLBACK_TIER: Final = "legacy-tier"
_OPERATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_.-]{1,200}){1,4}")
# A client may be waiting, so soon at first.
_PAUSES_S: Final = (1.0, 1.0, 2.0, 2.0, *([5.0] * 12))
_VALIDATION: Final = "VALIDATION_REQUIRED"
# Says that a perimeter hides the account's tier; it has one.
_HIDDEN_TIER: Final = "SECURITY_POLICY_VIOLATED"


class ProjectDiscovery:
    """Adds `project_id` to the metadata of accounts that do not have it."""

    def is_needed(self, account: Account) -> bool:
        return project_of(account) is None

    def steps(self, account: Account) -> Generator[Step, JsonObject, JsonObject]:
        """Yield calls, take their answers, return the project.

        Raises UpstreamError (blame ACCOUNT) when the account has no project and gets none.
        """
        try:
            loaded = yield _post("loadCodeAssist", {"metadata": _METADATA})
        except UpstreamError as error:
            if error.vendor_code != _HIDDEN_TIER:
                raise
            loaded = {"currentTier": {}}
        project = _project_in(loaded)
        if loaded.get("currentTier") is None:
            _refuse_unverified(loaded)
            project = yield from _onboarding(loaded)
        if project is None:
            _refuse_unverified(loaded)
            _refuse("the account has no project; name one in its metadata as project_id")
        return {"project_id": project}


def _onboarding(loaded: JsonObject) -> Generator[Step, JsonObject, str | None]:
    """Let the account in; return the project it was given, if any."""
    # No project is named here: there is none, and the free tier refuses to be told one.
    answer = yield _post("onboardUser", {"tierId": _tier(loaded), "metadata": _METADATA})
    for pause_s in _PAUSES_S:
        if answer.get("done") is True:
            break
        name = answer.get("name")
        if not isinstance(name, str) or _OPERATION.fullmatch(name) is None or ".." in name:
            _refuse("the account could not be let in: no operation to ask after")
        answer = yield Step("GET", f"{_BASE}/{name}", pause_s=pause_s)
    else:
        raise UpstreamError(
            "letting the account in takes too long", blame=Blame.ACCOUNT, kind=ErrorKind.TIMEOUT
        )
    response = answer.get("response")
    return _project_in(response) if isinstance(response, dict) else None


def _tier(loaded: JsonObject) -> str:
    for tier in _objects(loaded, "allowedTiers"):
        name = tier.get("id")
        if tier.get("isDefault") is True and isinstance(name, str) and name:
            return name
    return _FALLBACK_TIER


def _project_in(answer: JsonObject) -> str | None:
    """Return the project's id, which stands alone or in an object of its own."""
    project: Json = answer.get("cloudaicompanionProject")
    if isinstance(project, dict):
        project = project.get("id")
    return project if isinstance(project, str) and project else None


def _refuse_unverified(loaded: JsonObject) -> None:
    """Raise where Google wants the account's owner to prove something in a browser first."""
    for tier in _objects(loaded, "ineligibleTiers"):
        address = tier.get("validationUrl")
        if tier.get("reasonCode") == _VALIDATION and isinstance(address, str):
            _refuse(
                "Google wants the account to be verified in a browser",
                code=_VALIDATION,
                remedy=f"open {address} as the owner of the account, then ask again",
            )


def _refuse(message: str, *, code: str | None = None, remedy: str | None = None) -> NoReturn:
    error = UpstreamError(message, blame=Blame.ACCOUNT, kind=ErrorKind.PERMISSION, vendor_code=code)
    error.remedy = remedy
    error.needs_operator = code == _VALIDATION
    error.evidence = code or "no project"
    raise error


def _post(method: str, payload: JsonObject) -> Step:
    return Step("POST", f"{_BASE}:{method}", payload)


def _objects(payload: JsonObject, key: str) -> Iterator[JsonObject]:
    value = payload.get(key)
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))
