"""Which models of Code Assist share a quota, and what its failures mean for them."""

from collections.abc import Mapping

from dialects.base import Dialect
from models.errors import UpstreamError
from providers import google_failures


def family_of(model: str) -> str | None:
    """Return the family whose quota a model uses up, as observed: all guests have one together,
    Gemini has one for each size, whatever the version and the effort."""
    name = model.lower()
    if "claude" in name or name.startswith("gpt-oss"):
        return "guests"
    if "gemini" not in name:
        return None
    if "flash" in name:
        return "gemini-flash-lite" if "lite" in name else "gemini-flash"
    return "gemini-pro" if "pro" in name else None


def diagnose(
    dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError:
    """Tell what a failure means: a quota is its family's, which the answer names by a model."""
    return google_failures.diagnose_families(dialect, status, headers, body, family_of)
