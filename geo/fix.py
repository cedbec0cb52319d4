"""A fix: one position of a track, as phones send it (the words of the W3C Geolocation interface), and its bounds."""

import math
from enum import IntFlag

import msgspec

EARLIEST_MS = 946_684_800_000
"""Times begin at 2000-01-01 UTC: what is before it was sent in seconds, or by a clock that was never set."""
FURTHEST_AHEAD_MS = 24 * 3600 * 1000
"""Fix times up to one day ahead of the server's clock are stored."""
LARGEST_SEQ = 2**31 - 1


class Flag(IntFlag):
    """Why a fix does not count; flagged fixes are stored all the same."""

    INACCURATE = 1
    """Its accuracy is worse than the limit."""
    JUMP = 2
    """Reached at a speed that the receiver's own Doppler speed contradicts."""
    SPIKE = 4
    """Left and reached at speeds no motorcycle has, or out of a plausible path."""
    STANDING = 8
    """Jitter around a place where the rider stands."""
    REPEATED = 16
    """A later fix with a time that the track already has, or a time that cannot be the fix's own because the clock was
    set and the track passes through it twice."""
    AHEAD = 32
    """Its time is ahead of the server's clock by more than the tolerance."""


IMPLAUSIBLE = Flag.INACCURATE | Flag.JUMP | Flag.SPIKE
"""The flags of fixes that are not believed."""


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One position of one track. `seq` counts from 0 on the phone; (track, seq) names the fix for ever.

    Units: timestamp in milliseconds since the epoch (UTC), degrees (WGS84), altitude and accuracy in metres (accuracy
    at 95 %), speed in metres per second, heading and lean in degrees (heading clockwise from north, lean to the right
    positive), battery from 0 to 1.
    """

    seq: int
    timestamp: int
    latitude: float
    longitude: float
    altitude: float | None = None
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    lean: float | None = None
    battery: float | None = None


def _in_ranges(fix: Fix) -> bool:
    """`_RANGES` in one look, for the many fixes that are good; nothing compares with NaN."""
    return (
        (fix.altitude is None or -1_000.0 <= fix.altitude <= 50_000.0)
        and (fix.accuracy is None or 0.0 <= fix.accuracy <= 1e7)
        and (fix.speed is None or 0.0 <= fix.speed <= 1_000.0)
        and (fix.heading is None or 0.0 <= fix.heading <= 360.0)
        and (fix.lean is None or -90.0 <= fix.lean <= 90.0)
        and (fix.battery is None or 0.0 <= fix.battery <= 1.0)
    )


class Fault(msgspec.Struct, frozen=True):
    """Why a fix is refused: the field and a sentence; the code is always `invalid`."""

    field: str
    message: str


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("altitude", -1_000.0, 50_000.0),
    ("accuracy", 0.0, 1e7),
    ("speed", 0.0, 1_000.0),
    ("heading", 0.0, 360.0),
    ("lean", -90.0, 90.0),
    ("battery", 0.0, 1.0),
)


def fault_of_time(epoch_ms: int, now_ms: int) -> str | None:
    """The sentence about a time that cannot be one of a ride: before 2000, or ahead of the server's clock."""
    if epoch_ms < EARLIEST_MS:
        return "is before the year 2000; it must be in milliseconds UTC"
    if epoch_ms > now_ms + FURTHEST_AHEAD_MS:
        return "is more than a day ahead of the server's clock; it must be in milliseconds UTC"
    return None


def fault_of(fix: Fix, now_ms: int) -> Fault | None:
    """What makes this fix unusable, or None: out of range, non-finite, null island, a time outside the bounds."""
    if not 0 <= fix.seq <= LARGEST_SEQ:
        return Fault("seq", f"must be between 0 and {LARGEST_SEQ}")
    if not -90.0 <= fix.latitude <= 90.0:
        return Fault("latitude", "must be a finite number of degrees between -90 and 90")
    if not -180.0 <= fix.longitude <= 180.0:
        return Fault("longitude", "must be a finite number of degrees between -180 and 180")
    if fix.latitude == 0.0 and fix.longitude == 0.0:
        return Fault("latitude", "0, 0 is what a receiver says before it has a position")
    if (wrong := fault_of_time(fix.timestamp, now_ms)) is not None:
        return Fault("timestamp", wrong)
    if _in_ranges(fix):
        return None
    for field, low, high in _RANGES:
        value: float | None = getattr(fix, field)
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            return Fault(field, f"must be a finite number between {low:g} and {high:g}, or left out")
    return None
