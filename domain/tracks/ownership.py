"""Whose track is it? An id made by a phone is claimed once, before its first ack, and belongs to that rider for ever.

The claim lives in Redis until Postgres has the track; where both know nothing, nobody has started it. With Postgres
gone a claim alone decides, and the worker, which compares the rider of every record with the track's, has the last
word.
"""

from typing import Protocol
from uuid import UUID

import msgspec

from domain.kit.errors import Conflict, NotFound, Unavailable
from domain.tracks.entries import month_of
from domain.tracks.ports import TrackLog


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """Who owns a track, and the month (year * 100 + month) in which the server first heard of it."""

    user_id: UUID
    month: int


class TrackOwners(Protocol):
    """What Postgres knows of a track."""

    async def owner_of(self, track_id: UUID) -> tuple[UUID, int] | None:
        """The rider and the month of a stored track, or None. Raises Gone for a deleted one, and Unavailable."""
        ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Claim).decode


class Ownership:
    """Claims tracks for riders and finds whose they are."""

    def __init__(self, log: TrackLog, owners: TrackOwners) -> None:
        self._log = log
        self._owners = owners

    async def claim(self, track_id: UUID, user_id: UUID, now_ms: int) -> Claim:
        """Make the track this rider's, unless it is somebody's. Raises Conflict, Gone for a track
        that was deleted, or Unavailable when Redis is gone."""
        stored = await self._stored(track_id)
        wanted = stored or Claim(user_id, month_of(now_ms))
        winner = _decode(await self._log.claim_track(track_id, _encode(wanted)))
        if winner.user_id != user_id:
            raise Conflict("this track belongs to another rider; make a new track_id", field="track_id")
        return winner

    async def find(self, track_id: UUID, user_id: UUID) -> Claim:
        """The claim on a track that this rider began. Raises NotFound when there is none or it is somebody
        else's, Gone when it was deleted."""
        raw = await self._log.read_claim(track_id)
        if raw is not None:
            claim: Claim | None = _decode(raw)
        else:
            owner = await self._owners.owner_of(track_id)
            claim = Claim(*owner) if owner else None
        if claim is None or claim.user_id != user_id:
            raise NotFound("no such track of yours; send track:start first", field="track_id")
        return claim

    async def _stored(self, track_id: UUID) -> Claim | None:
        try:
            owner = await self._owners.owner_of(track_id)
        except Unavailable:
            return None
        return Claim(*owner) if owner else None
