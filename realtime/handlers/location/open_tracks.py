"""Tracks that phones have open on this node: whose they are, and what has been seen of them.

A bounded number is remembered after a phone has gone, so that a phone that comes back here is judged as before. On a
node that does not know a track, the newest stored fix tells what is late.
"""

from collections import OrderedDict
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.kit.errors import Unavailable
from domain.tracks.ownership import Claim
from geo.filters import LiveFilter
from geo.fix import IMPLAUSIBLE, Fix, Flag

REMEMBERED_TRACKS = 20_000
_GOOD = Flag(0)


class Judged(NamedTuple):
    """What is thought of a fix while it is live; the final flags are computed over the whole track."""

    flags: Flag
    moves_the_dot: bool


class OpenTrack:
    """One track on this node."""

    def __init__(self, track_id: UUID, claim: Claim, newest_ms: int | None = None) -> None:
        self.track_id = track_id
        self.user_id = claim.user_id
        self.month = claim.month
        self.stopped = False
        self._filter = LiveFilter()
        self._stored_ms = newest_ms

    def judge(self, fix: Fix, now_ms: int) -> Judged:
        """The provisional flags of a fix, and whether it is the newest and believable one."""
        before_the_stored = self._stored_ms is not None and fix.timestamp <= self._stored_ms
        if before_the_stored and self._filter.newest is None:
            return Judged(_GOOD, moves_the_dot=False)
        late = self._filter.is_late(fix)
        flags = self._filter.judge(fix, now_ms)
        believed = flags is _GOOD or not flags & IMPLAUSIBLE
        return Judged(flags, believed and not late and not self.stopped)


class StoredTracks(Protocol):
    """What Postgres knows of the fixes of a track."""

    async def newest_fix_ms(self, track_id: UUID) -> int | None:
        """The time of the track's newest stored fix, in epoch milliseconds, or None. Raises Unavailable."""
        ...


class OpenTracks:
    """The tracks of this node, the least recently opened forgotten first."""

    def __init__(self, stored: StoredTracks) -> None:
        self._stored = stored
        self._tracks: OrderedDict[UUID, OpenTrack] = OrderedDict()

    def known(self, track_id: UUID, user_id: UUID) -> OpenTrack | None:
        """The track of this rider, if it is known here: then no store has to be asked whose it is."""
        track = self._tracks.get(track_id)
        return track if track is not None and track.user_id == user_id else None

    def adopt(self, track_id: UUID, claim: Claim) -> OpenTrack:
        """The track, as it is known here, or fresh."""
        return self._tracks.get(track_id) or self._remember(OpenTrack(track_id, claim))

    async def reopen(self, track_id: UUID, claim: Claim) -> OpenTrack:
        """A track that began on another node, or long ago."""
        track = self._tracks.get(track_id)
        if track is not None:
            return track
        try:
            newest_ms = await self._stored.newest_fix_ms(track_id)
        except Unavailable:
            newest_ms = None
        return self._remember(OpenTrack(track_id, claim, newest_ms))

    def _remember(self, track: OpenTrack) -> OpenTrack:
        self._tracks[track.track_id] = track
        while len(self._tracks) > REMEMBERED_TRACKS:
            self._tracks.popitem(last=False)
        return track
