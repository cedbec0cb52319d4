"""Tracks as phones record them: start, fixes one by one or in batches, stop. Every ack means that it is on disk.

A fix that comes first is shown; one that is older than the newest of its track repairs history and nothing else. A fix
that cannot be used is refused with its field, and its number is noted, so that nobody waits for it.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from domain.kit.clock import Clock
from domain.kit.errors import Code, Invalid, TooLarge, Unavailable
from domain.tracks.entries import Fixes, FixRow, Rejected, Started, Stopped
from domain.tracks.ownership import Ownership
from domain.tracks.recorder import Recorder
from geo.fix import Fix, fault_of, fault_of_time
from realtime.gateway.answers import invalid_field
from realtime.gateway.client import Client
from realtime.gateway.contracts import handles
from realtime.gateway.events.location import (
    LOCATION_BATCH,
    LOCATION_UPDATE,
    MOST_BATCH_FIXES,
    TRACK_START,
    TRACK_STOP,
    BatchAccepted,
    LocationBatch,
    LocationUpdate,
    RejectedFix,
    TrackStart,
    TrackStarted,
    TrackStop,
)
from realtime.handlers.location.dot import Dot
from realtime.handlers.location.dots import Dots
from realtime.handlers.location.open_tracks import OpenTrack, OpenTracks
from realtime.handlers.location.rates import Rates

_WHOLE = "fix"
"""The field at fault when it is the fix as a whole."""
TRACKS_AT_HAND = 20
"""Tracks of one socket that are remembered with it."""


class Riding:
    """What one socket has open: its tracks, and the dot that they move."""

    __slots__ = ("connected_ms", "dot", "shown", "tracks")

    def __init__(self, connected_ms: int) -> None:
        """`connected_ms`: since when, by `Dots.now_ms`."""
        self.connected_ms = connected_ms
        self.tracks: dict[UUID, OpenTrack] = {}
        self.dot: Dot | None = None
        self.shown: UUID | None = None
        """The track that this socket shows: the one that was opened last."""

    def remember(self, track: OpenTrack) -> None:
        """Keep a track at hand; the one used longest ago is let go when there are many, and found again when needed."""
        self.tracks.pop(track.track_id, None)
        self.tracks[track.track_id] = track
        if len(self.tracks) > TRACKS_AT_HAND:
            del self.tracks[next(iter(self.tracks))]

    def shows(self, track: OpenTrack) -> bool:
        """Whether this is the track that this socket shows."""
        # Mostly the very same object; UUIDs are compared in Python.
        return self.shown is track.track_id or self.shown == track.track_id

    def drives(self, track: OpenTrack) -> bool:
        """Whether this track moves the dot: not when another phone of the rider on this node has taken the dot over."""
        return self.dot is not None and self.dot.driver is self and self.shows(track)


class TrackHandlers:
    """Handlers of `track:*` and `location:*`."""

    def __init__(
        self,
        ownership: Ownership,
        recorder: Recorder,
        tracks: OpenTracks,
        dots: Dots,
        rates: Rates,
        clock: Clock,
        *,
        batch_fixes: int = MOST_BATCH_FIXES,
    ) -> None:
        """`batch_fixes`: how many fixes one `location:batch` may have, as clients are told when they connect."""
        self._batch_fixes = batch_fixes
        self._ownership = ownership
        self._recorder = recorder
        self._tracks = tracks
        self._dots = dots
        self._rates = rates
        self._clock = clock

    def on_connect(self, client: Client) -> None:
        """A socket that may begin to ride."""
        client.attach(Riding(self._dots.now_ms()))

    def on_disconnect(self, client: Client) -> None:
        """The socket has gone; its dot stays until its age ends it."""
        self._recorder.settle()
        riding = client.get(Riding)
        if riding is not None and riding.dot is not None:
            self._rates.forget(client)
            self._dots.depart(riding.dot, riding)

    @handles(TRACK_START)
    async def start(self, client: Client, payload: TrackStart) -> "asyncio.Future[TrackStarted]":
        """Claim the id, make the dot this node's, and record the start."""
        self._recorder.settle()
        now_ms = self._clock.epoch_ms()
        if (wrong := fault_of_time(payload.started_at, now_ms)) is not None:
            raise Invalid(wrong, field="started_at")
        identity = client.identity
        claim = await self._ownership.claim(payload.track_id, identity.user_id, now_ms)
        track = self._tracks.adopt(payload.track_id, claim)
        dot = self._arrive(client, track)
        started = Started(
            track.track_id,
            identity.user_id,
            track.month,
            now_ms,
            payload.started_at,
            payload.motorcycle_id,
            payload.ride_id,
        )
        answer = TrackStarted(rider=identity.rider, send_interval_ms=self._rates.begin(client))
        kept = self._recorder.record(started, answer)
        await self._take(client, dot, track)
        return kept

    @handles(LOCATION_UPDATE)
    def update(self, client: Client, payload: LocationUpdate) -> "asyncio.Future[None] | Coroutine[Any, Any, Any]":
        """Record one fix, and show it when it is the newest: with all others of the tick."""
        riding = client.require(Riding)
        track = riding.tracks.get(payload.track_id)
        if track is None or self._should_show(riding, track):
            return self._open_and_update(client, payload)
        came_ms = self._clock.epoch_ms()
        return self._recorder.record_later(partial(self._take_fix, client, riding, track, payload.fix, came_ms))

    def _take_fix(
        self,
        client: Client,
        riding: Riding,
        track: OpenTrack,
        raw: object,
        came_ms: int,
        promise: "asyncio.Future[None]",
    ) -> None:
        """What is left of `update` for the tick. Raises Invalid."""
        fix, rows, moves_the_dot = self._judge(client, track, raw, came_ms)
        self._recorder.keep_rows(rows, promise)
        if moves_the_dot:
            self._move(riding, track, fix, came_ms)

    async def _open_and_update(self, client: Client, payload: LocationUpdate) -> "asyncio.Future[None]":
        """As `update`. The fix is on its way to the disk while the dot is asked for: either may wait for Redis."""
        self._recorder.settle()
        riding = client.require(Riding)
        track = await self._find(client, payload.track_id)
        came_ms = self._clock.epoch_ms()
        fix, rows, moves_the_dot = self._judge(client, track, payload.fix, came_ms)
        kept = self._recorder.record_rows(rows, None)
        if self._is_undriven(riding) and not track.stopped:
            # Who begins with what is old has nothing to show: a takeover would only take the dot off the map.
            if moves_the_dot:
                await self._take(client, self._arrive(client, track), track, fix, came_ms)
            return kept
        if riding.dot is not None and riding.dot.superseded:
            await self._dots.retake(riding.dot)
        if moves_the_dot:
            self._move(riding, track, fix, came_ms)
        return kept

    def _should_show(self, riding: Riding, track: OpenTrack) -> bool:
        """Whether there is more to do than to move the dot: it has to be taken, or asked for."""
        if self._is_undriven(riding):
            return not track.stopped
        return (
            riding.dot is not None and riding.dot.superseded and riding.shows(track) and self._dots.may_ask(riding.dot)
        )

    @staticmethod
    def _is_undriven(riding: Riding) -> bool:
        """Whether this socket has not taken the dot yet, or nobody here moves it any more."""
        return riding.dot is None or riding.shown is None or riding.dot.driver is None

    def _judge(self, client: Client, track: OpenTrack, raw: object, came_ms: int) -> tuple[Fix, Fixes, bool]:
        """A fix, what of it is recorded, and whether it moves the dot. Raises Invalid."""
        fix = _read_fix(raw, came_ms)
        if isinstance(fix, RejectedFix):
            if fix.seq is not None:
                self._note_rejected(client, track, [(fix.seq, Code.INVALID)], came_ms)
            raise Invalid(fix.message, field=fix.field if fix.field == _WHOLE else f"{_WHOLE}.{fix.field}")
        judged = track.judge(fix, came_ms)
        rows = [_row(fix, judged.flags)]
        kept = Fixes(track.track_id, client.identity.user_id, track.month, came_ms, rows)
        return fix, kept, judged.moves_the_dot

    def _move(self, riding: Riding, track: OpenTrack, fix: Fix, heard_ms: int) -> None:
        if riding.dot is not None and riding.drives(track):
            self._dots.show(riding.dot, fix, heard_ms)

    @handles(LOCATION_BATCH)
    async def batch(self, client: Client, payload: LocationBatch) -> "asyncio.Future[BatchAccepted]":
        """Record fixes of any age; those that cannot be used are named, the others are kept."""
        if len(payload.fixes) > self._batch_fixes:
            raise TooLarge(f"at most {self._batch_fixes} fixes go into one batch; send more of them", field="fixes")
        self._recorder.settle()
        track = await self._find(client, payload.track_id)
        now_ms = self._clock.epoch_ms()
        rows: list[FixRow] = []
        rejected: list[RejectedFix] = []
        for raw in payload.fixes:
            fix = _read_fix(raw, now_ms)
            if isinstance(fix, RejectedFix):
                rejected.append(fix)
            else:
                rows.append(_row(fix, 0))
        numbers = [(one.seq, Code.INVALID) for one in rejected if one.seq is not None]
        if numbers:
            self._note_rejected(client, track, numbers, now_ms)
        answer = BatchAccepted(accepted=len(rows), rejected=rejected)
        return self._recorder.record_rows(
            Fixes(track.track_id, client.identity.user_id, track.month, now_ms, rows), answer
        )

    @handles(TRACK_STOP)
    async def stop(self, client: Client, payload: TrackStop) -> "asyncio.Future[None]":
        """Record that the track ends, and take the dot off the map."""
        self._recorder.settle()
        for first, last in payload.lost:
            if not first <= last <= payload.last_seq:
                raise Invalid("each range is [first, last], in order, up to last_seq", field="lost")
        track = await self._find(client, payload.track_id)
        now_ms = self._clock.epoch_ms()
        stopped = Stopped(track.track_id, client.identity.user_id, track.month, now_ms, payload.last_seq, payload.lost)
        kept = self._recorder.record(stopped, None)
        track.stopped = True
        await self._end_dot(client.require(Riding), client.identity.rider, track)
        return kept

    async def _end_dot(self, riding: Riding, rider: int, track: OpenTrack) -> None:
        """Take the dot off the map if this track moves it, here or on the node where the phone was before."""
        if riding.dot is not None and riding.drives(track):
            await self._dots.end(riding.dot)
        else:
            with contextlib.suppress(Unavailable):  # its age ends it then
                await self._dots.withdraw(rider, mover=track.track_id)
        if riding.shown == track.track_id:
            riding.shown = None

    async def _find(self, client: Client, track_id: UUID) -> OpenTrack:
        riding = client.require(Riding)
        user_id = client.identity.user_id
        track = riding.tracks.get(track_id) or self._tracks.known(track_id, user_id)
        if track is None:
            track = await self._tracks.reopen(track_id, await self._ownership.find(track_id, user_id))
        riding.remember(track)
        return track

    def _arrive(self, client: Client, track: OpenTrack) -> Dot:
        """The dot that this socket may move from now on."""
        riding = client.require(Riding)
        riding.remember(track)
        if riding.dot is None:
            riding.dot = self._dots.arrive(client.identity.rider, client.identity.user_id)
            self._rates.follow(client, riding.dot)
        return riding.dot

    async def _take(
        self, client: Client, dot: Dot, track: OpenTrack, fix: Fix | None = None, heard_ms: int = 0
    ) -> None:
        riding = client.require(Riding)
        connected_ms = riding.connected_ms
        await self._dots.take(dot, track.track_id, riding, connected_ms=connected_ms, fix=fix, heard_ms=heard_ms)
        riding.shown = track.track_id

    def _note_rejected(self, client: Client, track: OpenTrack, numbers: Sequence[tuple[int, str]], now_ms: int) -> None:
        self._recorder.note(Rejected(track.track_id, client.identity.user_id, track.month, now_ms, list(numbers)))


def _row(fix: Fix, flags: int) -> FixRow:
    return (
        fix.seq,
        fix.timestamp,
        fix.latitude,
        fix.longitude,
        fix.altitude,
        fix.accuracy,
        fix.speed,
        fix.heading,
        fix.lean,
        fix.battery,
        flags,
    )


def _read_fix(raw: object, now_ms: int) -> Fix | RejectedFix:
    try:
        fix = msgspec.convert(raw, Fix)
    except msgspec.ValidationError as error:
        fault = invalid_field(str(error))
        return RejectedFix(_seq_of(raw), Code.INVALID, fault.field or _WHOLE, fault.message)
    found = fault_of(fix, now_ms)
    if found is None:
        return fix
    seq = None if found.field == "seq" else fix.seq
    return RejectedFix(seq, Code.INVALID, found.field, found.message)


def _seq_of(raw: object) -> int | None:
    seq = raw.get("seq") if isinstance(raw, dict) else None
    return seq if type(seq) is int and 0 <= seq < 1 << 31 else None
