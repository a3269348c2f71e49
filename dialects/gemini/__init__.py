"""The Gemini format of Google: `POST /v1beta/models/{model}:generateContent` and its kin."""

from dialects.gemini.count import GEMINI_COUNT
from dialects.gemini.dialect import GEMINI

__all__ = ["GEMINI", "GEMINI_COUNT"]
