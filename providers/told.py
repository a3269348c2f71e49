"""What providers say in words: of an account that is out of money, switched off, or not entitled.

Providers repeat parts of a request in their errors. What a client wrote must never count as
evidence against an account, so only what stands outside quotation marks is read, and of complaints
about the request only those that name no field of it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialects.base import ErrorFacts
from models.errors import Blame, ErrorKind
from providers.verdicts import LOCKED, NOT_INCLUDED, SHUT, Verdict, verdict_for

_AUTH: Final = verdict_for(ErrorKind.UPSTREAM_AUTH)
_BILLING: Final = verdict_for(ErrorKind.BILLING)
# Of this request, not of the model: shorter ones are served.
_LONG_CONTEXT: Final = replace(NOT_INCLUDED, blame=Blame.REQUEST, status=429)

_BY_CODE: Final[Mapping[str, Verdict]] = {
    "account_deactivated": SHUT,
    "billing_hard_limit_reached": _BILLING,
    "billing_not_active": _BILLING,
    "credit_balance_exhausted": _BILLING,
    "deactivated_workspace": SHUT,
    "enforced_spend_limit_reached": _BILLING,
    "insufficient_quota": _BILLING,
    "organization_deactivated": SHUT,
    # A matter of the account's way out.
    "unsupported_country_region_territory": LOCKED,
    "usage_not_included": NOT_INCLUDED,
}
_BY_TEXT: Final[tuple[tuple[str, Verdict], ...]] = (
    ("extra usage is required for long context", _LONG_CONTEXT),
    ("usage credits are required for long context", _LONG_CONTEXT),
    ("long context beta is not yet available", _LONG_CONTEXT),
    ("credit balance is too low", _BILLING),
    ("out of extra usage", _BILLING),
    ("reached your specified api usage limits", _BILLING),
    ("insufficient balance", _BILLING),
    ("insufficient credits", _BILLING),
    ("organization has been disabled", SHUT),
    ("organization has been suspended", SHUT),
    ("account has been deactivated", SHUT),
    ("account has been disabled", SHUT),
    ("account has been suspended", SHUT),
    ("disabled in this account", SHUT),
    ("identity verification", SHUT),
    ("verify your identity", SHUT),
    ("oauth authentication is currently not allowed for this organization", SHUT),
    ("does not meet scope requirement", SHUT),
    ("token has been revoked", _AUTH),
)
_MAX_CHARS: Final = 2000
# The widest span: a quotation mark that the client wrote ends nothing. Apostrophes are none.
_QUOTED: Final = re.compile(r"(?<!\w)[`'\"\u201c].*[`'\"\u201d](?!\w)", re.DOTALL)
_COMPLAINTS: Final = (400, 422)


def said_of_the_account(status: int, facts: ErrorFacts) -> Verdict | None:
    """Return what the provider says about the account itself, None where it says nothing."""
    code = (facts.code or "").lower()
    if code in _BY_CODE:
        return replace(_BY_CODE[code], evidence=code)
    text = own_words(status, facts)
    for said, verdict in _BY_TEXT:
        if said in text:
            return replace(verdict, evidence=said)
    return None


def own_words(status: int, facts: ErrorFacts) -> str:
    """Return the part of a message that no client can have written, in lower case."""
    message = facts.message[:_MAX_CHARS].lower()
    # The name of a model stands in it, and is the client's.
    is_theirs = status == 404 or (status in _COMPLAINTS and _names_a_field(facts, message))
    return "" if is_theirs else _QUOTED.sub(" ", message)


def _names_a_field(facts: ErrorFacts, message: str) -> bool:
    return facts.param is not None or ": " in message
