"""Times as GPX files have them (ISO 8601), to and from milliseconds since the epoch."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_AWARE_EPOCH = _EPOCH.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAP_SECOND = slice(17, 19)
_SHORTEST = len("2026-01-01T00:00")


def epoch_ms(text: str) -> int | None:
    """Milliseconds since 1970-01-01 UTC, to the nearest; None when the text is no time.

    A time without a zone is UTC. A leap second, which epoch time has no number for, is the first instant of the next
    minute.
    """
    text = text.strip()
    if len(text) < _SHORTEST or not text.isascii():
        return None
    leap = text[_LEAP_SECOND] == "60"
    if leap:
        text = f"{text[:17]}59{text[19:]}"
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    microseconds = (moment - _AWARE_EPOCH) // _MICROSECOND
    return (microseconds + 500) // 1000 + (1000 if leap else 0)


def iso_time(milliseconds: int) -> str:
    """`2026-01-01T12:00:00.250Z`."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"
