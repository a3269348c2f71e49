"""What the modules of the Gemini dialect call things by."""

from typing import Final

DIALECT: Final = "gemini"
VENDOR: Final = "gemini"
CLAUDE: Final = "claude-ca"
"""Vendor of Claude's signatures behind Google's service; valid nowhere else."""
