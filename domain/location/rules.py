"""Who sees a fix, and how often a phone sends: decisions only, no I/O.

A fix goes on *channels*: `region:<H3 cell, resolution 4>` carries what the public sees, `rider:<number>` what accepted
followers see. A fix inside one of the rider's privacy zones goes on none of them.
"""

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from domain.sharing.rules import Audience, SharingPolicy, effective
from geo import cells
from geo.zones import inside

STANDING_SPEED = 0.5
"""Metres per second under which a rider stands."""
LOW_BATTERY = 0.15
"""Charge, from 0 to 1, under which a phone is asked to send half as often."""
LONGEST_INTERVAL_MS = 10_000
"""A phone that rides is never asked to send more rarely than this."""


_CACHED = 65_536
"""Names of channels that are kept: each is asked for with every fix."""


class Place(NamedTuple):
    """A position to be judged: degrees (WGS84) and its H3 cell at resolution 9."""

    latitude: float
    longitude: float
    cell: int


@lru_cache(_CACHED)
def region_channel(cell: int) -> str:
    """The channel of public positions around this cell (any resolution from 4 up)."""
    return f"region:{cells.name(cells.parent(cell, cells.REGION_RESOLUTION))}"


@lru_cache(_CACHED)
def rider_channel(rider: int) -> str:
    """The channel, and the topic, of one rider's positions for accepted followers."""
    return f"rider:{rider}"


def channels_of(policy: SharingPolicy | None, rider: int, place: Place, now_ms: int) -> frozenset[str]:
    """The channels a rider's newest position is put on. An unknown policy hides: privacy fails closed."""
    if policy is None or inside(policy.zones, place.latitude, place.longitude):
        return frozenset()
    match effective(policy.audience, policy.expires_at_ms, now_ms):
        case Audience.PUBLIC:
            return frozenset((region_channel(place.cell), rider_channel(rider)))
        case Audience.FOLLOWERS:
            return frozenset((rider_channel(rider),))
        case _:
            return frozenset()


class IntervalReason(StrEnum):
    """Why a phone is asked for its send interval."""

    WATCHED = "watched"
    UNWATCHED = "unwatched"
    STANDING = "standing"
    BATTERY = "battery"


class SendInterval(NamedTuple):
    """How often a phone sends its position, in milliseconds, and why."""

    milliseconds: int
    reason: IntervalReason


def send_interval(
    *, watched: bool, speed: float | None, battery: float | None, watched_ms: int, unwatched_ms: int
) -> SendInterval:
    """How often a phone should send: as often as somebody looks, more rarely when it stands or runs low.

    `speed` in metres per second and `battery` from 0 to 1 are those of the newest fix, None when unknown. What is not
    sent live is not lost: phones keep recording and send it in batches.
    """
    chosen = (
        SendInterval(watched_ms, IntervalReason.WATCHED)
        if watched
        else SendInterval(unwatched_ms, IntervalReason.UNWATCHED)
    )
    if speed is not None and speed < STANDING_SPEED and not watched:
        chosen = SendInterval(min(2 * chosen.milliseconds, LONGEST_INTERVAL_MS), IntervalReason.STANDING)
    if battery is not None and battery < LOW_BATTERY:
        chosen = SendInterval(min(2 * chosen.milliseconds, LONGEST_INTERVAL_MS), IntervalReason.BATTERY)
    return chosen
