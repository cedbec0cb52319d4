"""Identifiers: UUIDv7 (RFC 9562, section 5.7), so that keys made on phones and servers sort by time."""

import os
import re
from uuid import UUID

_TRACE_ID = re.compile(r"[0-9a-f]{16,32}")


def uuid7(epoch_ms: int) -> UUID:
    """A UUIDv7 for the given time: 48 bits of milliseconds, then 74 random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    high = (epoch_ms & (1 << 48) - 1) << 16 | 0x7000 | random >> 68
    low = 0b10 << 62 | random & (1 << 62) - 1
    return UUID(int=high << 64 | low)


def new_trace_id() -> str:
    """32 lowercase hexadecimal digits, the shape of a W3C trace id."""
    return os.urandom(16).hex()


def is_trace_id(text: str) -> bool:
    """Whether a trace id that came from outside is safe to log and echo."""
    return _TRACE_ID.fullmatch(text) is not None
