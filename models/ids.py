"""Identifiers that sort by creation."""

import os
import time


def new_id() -> str:
    """Return a UUIDv7 as 32 hex digits: 48 bits of milliseconds, then randomness.

    Source: RFC 9562 section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = random >> 68
    low = random & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    return f"{value:032x}"
