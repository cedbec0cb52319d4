"""`session:resume`: what was missed stream by stream, and from there on what is new, nothing twice and nothing between.

While the answer is made its streams are held for this client. It is made of memory where that has what was missed, else
of one read of Postgres that others may share.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from domain.kit.errors import TooLarge, Unavailable
from domain.streams.rules import Head, Slice, size_of
from realtime.gateway.client import Client
from realtime.gateway.contracts import Followed, handles
from realtime.gateway.events.session import (
    SESSION_RESUME,
    Position,
    SessionResume,
    SessionResumed,
    StreamResumed,
    WatchAgain,
    WatchedAgain,
)
from realtime.gateway.streams.continuity import Continuity, Verdict, continuity
from realtime.gateway.streams.cursor import Hearing
from realtime.gateway.streams.cursors import Cursors
from realtime.gateway.streams.held import Held, Load
from realtime.gateway.streams.history import HistoryReader
from realtime.gateway.streams.kinds import StreamKinds
from realtime.gateway.streams.metrics import StreamMetrics

MOST_BYTES = 512 << 10
"""Of events in one answer, at most."""
MOST_STREAMS = 256
"""Streams that one socket hears."""
_MOST_LOOKS = 3
"""A stream that begins anew each time somebody looks cannot be resumed for now."""


class Watchers(Protocol):
    """Who knows what it means to watch the map and riders."""

    async def watch_again(self, client: Client, wanted: WatchAgain) -> WatchedAgain:
        """As `map:watch` and `riders:watch`; raises what they raise, with the field's place in `watch`."""
        ...


class _Part(NamedTuple):
    """One stream of a call."""

    name: str
    position: Position
    hearing: Hearing
    held: Held
    is_new: bool
    """Whether the client did not hear it before."""


class ResumeHandlers:
    """Handler of `session:resume`."""

    def __init__(
        self,
        cursors: Cursors,
        kinds: StreamKinds,
        reader: HistoryReader,
        watchers: Watchers,
        metrics: StreamMetrics,
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`most_bytes`: of events in one answer, well below what may wait for a socket."""
        self._cursors = cursors
        self._kinds = kinds
        self._reader = reader
        self._watchers = watchers
        self._metrics = metrics
        self._most_bytes = min(most_bytes, MOST_BYTES)

    @handles(SESSION_RESUME)
    async def resume(self, client: Client, payload: SessionResume) -> Followed:
        """Say of each stream what was missed; behind the answer the stream goes on where that ends."""
        with self._metrics.resume_seconds.time():
            await self._kinds.authorise(client.identity, payload.streams)
            watched = await self._watchers.watch_again(client, payload.watch) if payload.watch else None
            if client.closed:
                raise Unavailable("the connection has ended", retry_after_ms=1000)
            parts = self._hold(client, payload.streams)
            goes_on = {part.hearing: part.held.at for part in parts}
            try:
                answers = await self._resume(client, parts, goes_on)
            except BaseException:
                self._give_up(client, parts)
                raise
            return Followed(SessionResumed(answers, watched), partial(self._go_on, goes_on))

    def _go_on(self, goes_on: Mapping[Hearing, int]) -> None:
        for hearing, after in goes_on.items():
            self._cursors.go_on(hearing, after)

    def _give_up(self, client: Client, parts: list[_Part]) -> None:
        """Nothing has happened: what was heard before goes on, and nothing else."""
        for part in parts:
            if part.is_new:
                self._cursors.leave(client, part.name)
            else:
                self._cursors.go_on(part.hearing, part.held.at)

    def _hold(self, client: Client, streams: Mapping[str, Position]) -> list[_Part]:
        """Hear them all, and hold what comes. Raises TooLarge for more than one socket may hear."""
        heard = {hearing.cursor.name: hearing for hearing in client.hearings}
        if len(heard.keys() | streams.keys()) > MOST_STREAMS:
            raise TooLarge(f"a socket hears at most {MOST_STREAMS} streams", field="streams")
        parts, load = list[_Part](), Load()
        for name, position in streams.items():
            hearing = heard.get(name) or self._cursors.join(client, name)
            parts.append(_Part(name, position, hearing, hearing.cursor.hold(hearing, load), name not in heard))
        return parts

    async def _resume(
        self, client: Client, parts: list[_Part], goes_on: dict[Hearing, int]
    ) -> dict[str, StreamResumed]:
        """The answer for each stream; `goes_on` is given up to where the client then has everything."""
        found = await self._look(parts)
        answers: dict[str, StreamResumed] = {}
        lost: dict[str, Head] = {}
        left = self._most_bytes
        for part in parts:
            cursor, continued = part.hearing.cursor, found[part.name]
            size = size_of(continued.events)
            if continued.verdict is Verdict.RECOVERED and size <= left:
                left -= size
                answers[part.name] = _recovered(cursor.epoch, continued)
                goes_on[part.hearing] = continued.upto
            else:
                lost[part.name] = Head(cursor.epoch, part.held.at)
                goes_on[part.hearing] = part.held.at
        self._metrics.resumed.labels("recovered").inc(len(answers))
        self._metrics.resumed.labels("snapshot").inc(len(lost))
        return answers | await self._snapshots(client, lost)

    async def _snapshots(self, client: Client, lost: Mapping[str, Head]) -> dict[str, StreamResumed]:
        """What the streams have come to, read after where they go on was noted: then nothing lies between."""
        snapshots = await self._kinds.snapshots(client.identity, lost) if lost else {}
        return {
            name: StreamResumed(False, head.epoch, head.seq, snapshot=snapshots[name]) for name, head in lost.items()
        }

    async def _look(self, parts: list[_Part]) -> dict[str, Continuity]:
        """How each stream goes on. What memory does not know is read, all together. Raises Unavailable."""
        read: dict[str, Slice] = {}
        for _ in range(_MOST_LOOKS):
            for part in parts:
                part.held.restarted = False
            found = {part.name: self._judge(part, read.get(part.name)) for part in parts}
            unknown = [part for part in parts if found[part.name].verdict is Verdict.READ]
            if not unknown:
                return found
            asked = {part.name: part.hearing.cursor.head for part in unknown}
            slices = await self._reader.read({part.name: part.position.seq for part in unknown})
            for part in unknown:
                piece = slices[part.name]
                if self._cursors.compare(part.hearing.cursor, piece.head, asked[part.name]):
                    read[part.name] = piece
        raise Unavailable("a stream begins anew just now; ask again", retry_after_ms=1000)

    @staticmethod
    def _judge(part: _Part, piece: Slice | None) -> Continuity:
        hearing = part.hearing
        return continuity(hearing.cursor, hearing.start, part.held.at, part.position, piece)


def _recovered(epoch: str, continued: Continuity) -> StreamResumed:
    events = [(event.name, msgspec.Raw(event.payload)) for event in continued.events]
    return StreamResumed(True, epoch, continued.upto, events)
