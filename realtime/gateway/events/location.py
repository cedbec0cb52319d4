"""Events of the location feature: tracks and fixes, watching the map and riders, sharing.

Units: timestamps in milliseconds since the epoch (UTC), degrees (WGS84), metres, metres per second.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.location.rules import IntervalReason
from domain.sharing.events import SHARING_CHANGED as SHARING_CHANGED_NAME
from domain.sharing.events import SharingChanged
from domain.sharing.rules import Audience
from geo.fix import Fix
from realtime.gateway.contracts import Contract, Emission, Limit, Payload, Promise, Reply, StreamEmission

MOST_BATCH_FIXES = 1000
"""Fixes in one `location:batch`, at most."""

AnyFix = Annotated[Any, Meta(extra={"described_as": Fix})]
"""A fix that is decoded by its handler: the number of one that is refused is noted, so that nobody waits for it."""
Rider = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Seq = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class TrackStart(Payload, frozen=True):
    """A phone begins to record; the id is its own, a UUIDv7, so that recording needs no network."""

    track_id: UUID
    started_at: int
    motorcycle_id: UUID | None = None
    ride_id: UUID | None = None


class TrackStarted(Reply, frozen=True):
    """The track is this rider's. `rider` is the short number by which frames name the rider."""

    rider: int
    send_interval_ms: int


class LocationUpdate(Payload, frozen=True):
    """The newest fix of a track that is being ridden: recorded, and shown to who may see it.

    A `seq` that the track has already is answered `{}` too, and the first write wins: send again what has no ack.
    A fix after `track:stop` is answered `{}` as well, recorded, and shown to nobody. Times before 2000 are refused.
    """

    track_id: UUID
    fix: AnyFix


class LocationBatch(Payload, frozen=True):
    """Up to 1,000 fixes of any age, each like that of `location:update`: recorded, never shown live."""

    track_id: UUID
    fixes: list[AnyFix]


class RejectedFix(Reply, frozen=True):
    """A fix of a batch that was refused; the others are kept. `seq` is null where the fix has none that can be read."""

    seq: int | None
    code: str
    field: str
    message: str


class BatchAccepted(Reply, frozen=True, omit_defaults=False):
    """How many fixes are kept, and which were refused and why."""

    accepted: int
    rejected: list[RejectedFix]


class TrackStop(Payload, frozen=True):
    """The track ends with `last_seq` (-1: it has no fix). `lost` are closed ranges of numbers the phone cannot send."""

    track_id: UUID
    last_seq: Annotated[int, Meta(ge=-1, le=2**31 - 1)]
    lost: Annotated[list[tuple[Seq, Seq]], Meta(max_length=1000)] = msgspec.field(default_factory=list)


class MapWatch(Payload, frozen=True):
    """See the public riders in a box: `[west, south, east, north]` in degrees; west > east crosses 180°.

    A box that is too large to see single riders in is answered with `density`: counts come instead. Snapshots come
    before the ack: set up the handlers of `location:frame` and `location:density` first.
    """

    bounds: tuple[float, float, float, float]
    zoom: Annotated[float, Meta(ge=0, le=30)]


class MapWatched(Reply, frozen=True):
    """The H3 resolution that was chosen, and the cells that are now watched; frames come on topic `cell:<cell>`.

    With `density` there are no cells and no frames: `location:density` comes, at once and when counts change.
    """

    resolution: int
    cells: list[str]
    density: bool


class MapUnwatch(Payload, frozen=True):
    """See the map no more."""


class RidersWatch(Payload, frozen=True):
    """Follow these riders wherever they are; they must have accepted you as a follower (or be you)."""

    user_ids: Annotated[list[UUID], Meta(max_length=200)]


class RidersUnwatch(Payload, frozen=True):
    """Follow these riders no more."""

    user_ids: Annotated[list[UUID], Meta(max_length=200)]


class RidersInfo(Payload, frozen=True):
    """Who are the riders with these numbers? Answered for those on a topic that this socket hears."""

    riders: Annotated[list[Rider], Meta(max_length=200)]


class RiderInfo(Reply, frozen=True, omit_defaults=False):
    """Who a rider is."""

    rider: int
    user_id: UUID
    name: str
    avatar: str | None = None
    motorcycle: UUID | None = None


class RidersKnown(Reply, frozen=True):
    """The riders that were asked for and may be known; numbers that are missing are not to be seen from here."""

    riders: list[RiderInfo]


class SharingSet(Payload, frozen=True):
    """Choose who may see this rider live, until `expires_at` (after which nobody may), or until changed."""

    audience: Audience
    expires_at: int | None = None


class SharingIs(Reply, frozen=True, omit_defaults=False):
    """What is stored now."""

    audience: Audience
    expires_at: int | None


class RateSet(Reply, frozen=True):
    """Send positions this often from now on, and why."""

    send_interval_ms: int
    reason: IntervalReason


class LocationFrame(Reply, frozen=True):
    """What changed on a topic since the last frame.

    `riders` are rows `[rider, d_lat, d_lon, heading, speed, age]`: offsets from the origin in 1e-5 degrees, heading in
    steps of 2°, speed in decimetres per second (both -1 when unknown), age in ticks since the server heard of it.
    `origin` is `[latitude, longitude]`, sent with each snapshot and valid until the next one of the topic. A snapshot
    replaces everything known of the topic; `gone` lists riders to take off it.
    """

    topic: str
    origin: tuple[float, float] | None = None
    riders: list[tuple[int, int, int, int, int, int]] = msgspec.field(default_factory=list)
    gone: list[int] = msgspec.field(default_factory=list)
    snapshot: bool = False


class LocationDensity(Reply, frozen=True):
    """How many public riders are where, for a box that is too large to see single ones in; replaces the one before.

    `cells` are pairs `[H3 cell, riders]` at this resolution (0 to 4), for the box and a little around it. Cells with
    fewer than 3 riders are left out; a number may be up to 2 too low, so that numbers cannot be subtracted to find one.
    """

    resolution: int
    cells: list[tuple[str, int]]


_SELDOM = Limit(per_second=2, burst=20)

TRACK_START = Contract("track:start", TrackStart, Promise.RECORDED, _SELDOM, TrackStarted)
LOCATION_UPDATE = Contract("location:update", LocationUpdate, Promise.RECORDED, Limit(per_second=5, burst=200))
LOCATION_BATCH = Contract(
    "location:batch", LocationBatch, Promise.RECORDED, Limit(per_second=5, burst=20), BatchAccepted
)
TRACK_STOP = Contract("track:stop", TrackStop, Promise.RECORDED, _SELDOM)
MAP_WATCH = Contract("map:watch", MapWatch, Promise.LIVE, Limit(per_second=5, burst=20), MapWatched)
MAP_UNWATCH = Contract("map:unwatch", MapUnwatch, Promise.LIVE, _SELDOM)
RIDERS_WATCH = Contract("riders:watch", RidersWatch, Promise.LIVE, _SELDOM)
RIDERS_UNWATCH = Contract("riders:unwatch", RidersUnwatch, Promise.LIVE, _SELDOM)
RIDERS_INFO = Contract("riders:info", RidersInfo, Promise.NONE, Limit(per_second=5, burst=20), RidersKnown)
SHARING_SET = Contract("sharing:set", SharingSet, Promise.DURABLE, _SELDOM, SharingIs)

SHARING_CHANGED = StreamEmission(SHARING_CHANGED_NAME, SharingChanged, Promise.DURABLE, stream="user")
LOCATION_FRAME = Emission("location:frame", LocationFrame, Promise.LIVE)
LOCATION_DENSITY = Emission("location:density", LocationDensity, Promise.LIVE)
RATE_SET = Emission("rate:set", RateSet, Promise.LIVE)
