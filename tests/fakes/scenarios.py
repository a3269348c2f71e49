"""What a fake provider answers, told once; `formats` writes it in each provider's own format."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A tool call of the model."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One answer. Token counts are disjoint, as Anthropic counts them."""

    text: tuple[str, ...] = ("Hel", "lo ", "wörld ✓")
    """Deltas of the text."""
    thinking: tuple[str, ...] = ()
    signature: str | None = None
    """Instead of the provider's own over what it thought."""
    refusal: tuple[str, ...] = ()
    """Deltas of a refusal in words, where the format has a place for one."""
    calls: tuple[Call, ...] = ()
    stop: str = "end"
    """`end`, `length`, `stop_sequence`, `tools`, `refusal`."""
    stop_sequence: str | None = None
    input_tokens: int = 11
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 7
    reasoning_tokens: int = 0
    model: str = "fake-model"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that only the provider knows, put into a whole answer."""

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    @property
    def whole_thinking(self) -> str:
        return "".join(self.thinking)

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    def signed(self, vendor: str) -> str:
        """Return the vendor's signature of the thinking."""
        return self.signature or sign(vendor, self.whole_thinking)


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sign(vendor: str, content: str) -> str:
    """Return a signature that only this vendor makes, of this content only, in base64.

    The vendors: `anthropic`, `openai`, `gemini`, `glm`, `claude-ca` (Claude behind Code Assist).
    """
    digest = hashlib.sha256(f"{vendor}|{content}".encode()).digest()
    return base64.b64encode(vendor.encode() + b"|" + digest).decode()


def is_signed(signature: object, vendor: str, content: str) -> bool:
    """Say whether it is the vendor's own signature of the content, in either base64 alphabet."""
    if not isinstance(signature, str):
        return False
    try:
        data = base64.b64decode(signature.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return data == base64.b64decode(sign(vendor, content))
