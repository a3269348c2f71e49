"""Google Gemini: `generativelanguage.googleapis.com`, the Gemini format."""

from typing import Final

from dialects.foreign import IN_GEMINI
from dialects.gemini import GEMINI, GEMINI_COUNT
from providers import google_failures, signing
from providers.base import Offer, Provider
from providers.gemini_profile import profile

PROVIDER: Final = Provider(
    id="gemini",
    name="Google Gemini",
    offers=Offer(
        GEMINI,
        "https://generativelanguage.googleapis.com",
        signing.google,
        profile,
        foreign=IN_GEMINI,
    ).spoken(GEMINI_COUNT),
    diagnose=google_failures.diagnose,
)
