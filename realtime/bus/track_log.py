"""The track stream in Redis: what was appended is on disk before the call returns, or the call says `unavailable`.

Redis is asked to write through (`appendfsync always`); with replicas the call waits for one of them, until somebody
says (`REPLICA_MARK`) that there is none any more: one that is merely gone may be the next primary. That holds also for
a node that has never seen one, which asks before its first claim: the primary that it meets may be one that was
replaced, and in a cluster claims are on others than the stream. An entry whose append was answered `unavailable` may be
in the stream all the same, which is harmless: the worker stores each fix once.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from domain.kit.errors import Unavailable
from domain.tracks.entries import CLAIM_PREFIX, ENTRY_FIELD, TRACK_STREAM
from realtime.bus.connections import RETRY_AFTER_MS, BusOptions, Command, RedisLink, Script

REPLICA_MARK = f"{{{TRACK_STREAM}}}:replicated"
"""The key that says that appends wait for a replica. An operator who took the replica away for good deletes it."""
_KEYS = (TRACK_STREAM, REPLICA_MARK)
_ENTRY_OVERHEAD = 256
"""What `append.lua` counts for each entry beside its bytes."""
_USUAL_ENTRY_BYTES = 512
_WAIT_SHARE = 0.5
"""The part of the timeout that replicas may take."""

_log = structlog.get_logger(__name__)


class RedisTrackLog:
    """Implements `domain.tracks.ports.TrackLog`."""

    def __init__(self, options: BusOptions, *, stream_limit_bytes: int, replicas: int | None = None) -> None:
        """`replicas`: how many must have an entry before it counts; None: one, from the first time one is seen."""
        self._append = Script("append")
        self._link = RedisLink(options, name="track-log", scripts=[self._append])
        self._limit = stream_limit_bytes
        self._replicas = replicas or 0
        self._watch_replicas = replicas is None
        self._has_looked = replicas is not None
        """Whether it was asked, once at least, if there is a replica or was."""
        self.misses_a_replica = False
        """Whether the last append was refused because no replica confirmed it."""
        self._wait_ms = int(options.timeout_seconds * 1000 * _WAIT_SHARE)
        self.stream_bytes = 0
        """The size of the stream when last appended to."""
        self._full = False
        self._refused_bytes = 0
        """The size of the append that was refused last, 0 once one was accepted."""

    async def append(self, entries: Sequence[bytes]) -> None:
        if not entries:
            return
        command, waits = self._append.call(_KEYS, self._limit, ENTRY_FIELD, *entries), self._replicas > 0
        appended, self.stream_bytes, replicated = await self._durably(command)
        self._note_room(bool(appended))
        self._refused_bytes = 0 if appended else sum(len(entry) + _ENTRY_OVERHEAD for entry in entries)
        if not appended:
            raise Unavailable("the track stream is at its limit; keep the fixes", retry_after_ms=5 * RETRY_AFTER_MS)
        if not waits:
            await self._heed(replicated)

    async def fullness(self) -> tuple[int, bool]:
        """Bytes in the stream, and whether it is so full that appends are refused. Raises Unavailable.

        A replica that is found is waited for from now on, as when one is found by an append.
        """
        _, used, replicated = await self._link.call(*self._append.call(_KEYS, self._limit, ENTRY_FIELD))
        if not self._replicas:
            await self._heed(replicated)
        return used, used + max(self._refused_bytes, _USUAL_ENTRY_BYTES) > self._limit

    async def claim_track(self, track_id: UUID, claim: bytes) -> bytes:
        if not self._has_looked:
            await self.fullness()
        earlier = await self._durably(("SET", f"{CLAIM_PREFIX}{track_id}", claim, "NX", "GET"))
        return claim if earlier is None else bytes(earlier)

    async def read_claim(self, track_id: UUID) -> bytes | None:
        claim = await self._link.call("GET", f"{CLAIM_PREFIX}{track_id}")
        return None if claim is None else bytes(claim)

    async def forget_claim(self, track_id: UUID) -> None:
        await self._link.call("DEL", f"{CLAIM_PREFIX}{track_id}")

    async def _durably(self, command: Command) -> Any:
        """The answer, once as many replicas as are wanted have it. Raises Unavailable."""
        if not self._replicas:
            return await self._link.call(*command)
        answer, reached = await self._link.batch([command, ("WAIT", self._replicas, self._wait_ms)])
        if reached < self._replicas:
            await self._miss_a_replica()
            raise Unavailable("no replica confirmed it", retry_after_ms=RETRY_AFTER_MS)
        self.misses_a_replica = False
        return answer

    async def _miss_a_replica(self) -> None:
        """Say so once; and stop to wait when an operator has said that there is none any more."""
        if self._watch_replicas and not await self._link.call("EXISTS", REPLICA_MARK):
            self._replicas = 0
            self.misses_a_replica = False
            _log.info("acks_wait_for_no_replica")
            return
        if not self.misses_a_replica:
            _log.warning("no_replica_confirms", hint=f"bring it back, or DEL {REPLICA_MARK} when it was taken away")
        self.misses_a_replica = True

    def _note_room(self, is_there: bool) -> None:
        if is_there == self._full:
            log = _log.info if is_there else _log.error
            log("track_stream_limit", refusing=not is_there, stream_bytes=self.stream_bytes, limit_bytes=self._limit)
        self._full = not is_there

    async def _heed(self, replicated: int) -> None:
        """After what did not wait for a replica: do so from now on, where there is one or was, and for that as well."""
        if self._watch_replicas and replicated:
            await self._link.call("SET", REPLICA_MARK, 1)  # who waits without it would think that somebody deleted it
            self._replicas = 1
            _log.info("acks_wait_for_a_replica")
            await self._durably(("SET", REPLICA_MARK, 1))  # reaches a replica behind all that was written before
        self._has_looked = True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()
