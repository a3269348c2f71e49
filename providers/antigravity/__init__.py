"""Google Code Assist, as the Antigravity programs use it: Gemini's format in an envelope.

Google means this service for its own programs. Whether another may use it is between Google and
the operator; we say who we are and imitate nobody.
"""

from dataclasses import replace
from typing import Final

from dialects.foreign import IN_GEMINI
from dialects.gemini import GEMINI, GEMINI_COUNT
from models.account import AuthType
from providers import signing
from providers.antigravity.discovery import ProjectDiscovery
from providers.antigravity.envelope import CodeAssistEnvelope
from providers.antigravity.families import diagnose, family_of
from providers.antigravity.models import AvailableModels
from providers.antigravity.profile import profile
from providers.antigravity.requests import adapt, adapt_count
from providers.base import Offer, Provider

_GENERATE: Final = Offer(
    GEMINI,
    # First the one that serves releases, which Google's own published client calls; the others
    # run what comes next and help out when it fails.
    "https://cloudcode-pa.googleapis.com",
    signing.bearer,
    profile,
    adapt=adapt,
    foreign=IN_GEMINI,
    mirrors=(
        "https://daily-cloudcode-pa.googleapis.com",
        "https://daily-cloudcode-pa.sandbox.googleapis.com",
    ),
)

PROVIDER: Final = Provider(
    id="antigravity",
    name="Google Code Assist (Antigravity)",
    offers=(_GENERATE, replace(_GENERATE, dialect=GEMINI_COUNT, adapt=adapt_count)),
    diagnose=diagnose,
    family_of=family_of,
    auth_types=frozenset({AuthType.BEARER, AuthType.OAUTH}),
    envelope=CodeAssistEnvelope(),
    discovery=ProjectDiscovery(),
    model_list=AvailableModels(),
)
