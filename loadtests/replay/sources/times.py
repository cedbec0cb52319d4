"""Times as files write them, to epoch milliseconds: ISO 8601 with any number of decimals, or epoch numbers.

A time without a zone is UTC. What cannot be read is None, and the caller counts it as missing.
"""

import math
import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]+|$)"
    r"(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?\s*"
    r"(?:(Z|UTC|GMT)|([+-])(\d{2}):?(\d{2})?)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Epoch numbers by size: up to the year 5138 in seconds, then milliseconds, microseconds, nanoseconds.
_LARGEST_SECONDS = 1e11
_LARGEST_MILLISECONDS = 1e14
_LARGEST_MICROSECONDS = 1e17


def epoch_ms(text: str) -> int | None:
    """Milliseconds since 1970-01-01 UTC, to the nearest; None when the text is not a time."""
    text = text.strip().strip('"').strip()
    if _NUMBER.fullmatch(text):
        return _from_number(text)
    match = _ISO.fullmatch(text)
    return _from_iso(match) if match else None


def _from_number(text: str) -> int | None:
    value = float(text)
    size = abs(value)
    if not math.isfinite(value):
        return None
    if size < _LARGEST_SECONDS:
        return round(value * 1000)
    if size < _LARGEST_MILLISECONDS:
        return round(value)
    return round(value / 1e3) if size < _LARGEST_MICROSECONDS else round(value / 1e6)


def _from_iso(match: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = match.groups()
    try:
        # A leap second has no number of its own in epoch time; it is the first instant of the next minute.
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(second or 0)
    if seconds > 60:
        return None
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0)) * (-1 if sign == "-" else 1)
    whole = (moment - offset - _EPOCH) // timedelta(milliseconds=1) + seconds * 1000
    return whole + (round(float(f"0.{fraction}") * 1000) if fraction else 0)
