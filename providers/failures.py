"""How a provider's failure reads: whom to blame, whether another account may serve."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from dialects.base import Dialect
from models.errors import UpstreamError

Diagnose: TypeAlias = Callable[[Dialect, int, Mapping[str, str], bytes], UpstreamError]
"""(dialect that was spoken, status, headers, body) -> the error. Never raises."""
