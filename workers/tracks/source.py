"""The track stream as one worker sees it: batches of entries in, acknowledgements out.

An entry that was handed out and not acknowledged is never lost: it comes again to this worker after a fault of Redis,
and to any other once it has been idle for `claim_idle_seconds`. So everything read here may be read twice. Raises
what redis-py raises; the loop decides when to try again.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from domain.kit.clock import Clock
from domain.tracks.entries import DEAD_LETTERS, ENTRY_FIELD, TRACK_STREAM, WRITERS_GROUP
from workers.tracks.items import DeadLetter, Entry
from workers.tracks.lua import script

REDIS_ERRORS: tuple[type[Exception], ...] = (OSError, RedisError)
_FORGET_AFTER_MS = 3_600_000
"""A consumer that holds nothing and was not heard of for so long is removed."""
_FIELD = ENTRY_FIELD.encode()


class StreamSource:
    """Reads the track stream as one consumer of the group of writers."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        *,
        consumer: str,
        entries: int,
        claim_idle_seconds: float,
        block_seconds: float,
    ) -> None:
        """`consumer` is unique for each process; `entries` are read at once, at most."""
        self._redis = redis
        self._clock = clock
        self._consumer = consumer
        self._entries = entries
        self._claim_idle_ms = int(claim_idle_seconds * 1000)
        self._block_ms = int(block_seconds * 1000)
        self._in_hand: set[bytes] = set()
        self._is_open = False
        self._own_from: str | None = None
        self._claim_from = "0-0"
        self._next_claim = 0.0
        self._trim = redis.register_script(script("trim"))
        self._bury = redis.register_script(script("bury"))
        self._forget = redis.register_script(script("forget_consumers"))

    async def _open(self) -> None:
        """Make the stream and its group unless they are there."""
        try:
            await self._redis.xgroup_create(TRACK_STREAM, WRITERS_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._is_open = True

    def recover(self) -> None:
        """After a fault: what Redis has handed to this consumer and it has not got comes first."""
        self._own_from = "0"

    async def read(self, *, wait: bool) -> list[Entry]:
        """The next entries, new or taken over; with `wait` up to `block_seconds` for the first of them."""
        if not self._is_open:
            await self._open()
        entries = await self._read_own() if self._own_from is not None else await self._claim_idle()
        if not entries:
            entries = await self._read_new(self._block_ms if wait else None)
        self._in_hand.update(entry.id for entry in entries)
        return entries

    async def _read_own(self) -> list[Entry]:
        """Entries that this consumer holds by the books; those that it has in its hands are passed over."""
        while self._own_from is not None:
            reply = await self._read_group(self._own_from, None)
            self._own_from = reply[-1][0].decode() if reply else None
            entries = await self._entries_of(reply)
            if entries:
                return entries
        return []

    async def _claim_idle(self) -> list[Entry]:
        """Take over what other consumers have held for too long, in steps, now and then."""
        if self._clock.monotonic() < self._next_claim:
            return []
        cursor, reply, *_ = await self._redis.xautoclaim(
            TRACK_STREAM, WRITERS_GROUP, self._consumer, self._claim_idle_ms, self._claim_from, count=self._entries
        )
        self._claim_from = cursor.decode()
        if self._claim_from == "0-0":
            self._next_claim = self._clock.monotonic() + self._claim_idle_ms / 4000
            await self._forget_consumers(b"")
        return await self._entries_of(reply)

    async def _read_new(self, block_ms: int | None) -> list[Entry]:
        return await self._entries_of(await self._read_group(">", block_ms))

    async def _read_group(self, start: str, block_ms: int | None) -> list[Any]:
        try:
            reply: Any = await self._redis.xreadgroup(
                WRITERS_GROUP, self._consumer, {TRACK_STREAM: start}, count=self._entries, block=block_ms
            )
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            await self._open()  # Redis lost the stream, or somebody deleted it
            return []
        return list(reply[0][1]) if reply else []

    async def _entries_of(self, reply: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
        """The entries not yet in hand. One that was deleted by hand has no fields: it is acknowledged and forgotten."""
        entries: list[Entry] = []
        gone: list[bytes] = []
        for entry_id, fields in reply:
            if not fields:
                gone.append(entry_id)
            elif entry_id not in self._in_hand:
                entries.append(Entry(entry_id, fields.get(_FIELD, b"")))
        if gone:
            await self._redis.xack(TRACK_STREAM, WRITERS_GROUP, *gone)
        return entries

    async def settle(self, ids: Sequence[bytes], letters: Sequence[DeadLetter]) -> None:
        """Acknowledge entries that are stored, write their dead letters, and trim what nobody needs any more."""
        with_letters = {letter.entry_id for letter in letters}
        clean = [entry_id for entry_id in ids if entry_id not in with_letters]
        # First those without letters: that frees memory, which the letters may be waiting for.
        if clean:
            await self._redis.xack(TRACK_STREAM, WRITERS_GROUP, *clean)
            await self._trim(keys=[TRACK_STREAM])
        if letters:
            await self._write_letters(letters)
            await self._trim(keys=[TRACK_STREAM])
        self._in_hand.difference_update(ids)

    async def _write_letters(self, letters: Sequence[DeadLetter]) -> None:
        fields = [value for letter in letters for value in _fields_of(letter)]
        try:
            await self._bury(keys=[TRACK_STREAM, DEAD_LETTERS], args=[WRITERS_GROUP, *fields])
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise  # without the group the stream was lost, and the entries of these letters with it

    async def leave(self) -> None:
        """Remove this consumer unless it still holds entries: these are taken over by others."""
        await self._forget_consumers(self._consumer.encode())

    async def _forget_consumers(self, own: bytes) -> None:
        await self._forget(keys=[TRACK_STREAM], args=[WRITERS_GROUP, own, _FORGET_AFTER_MS])


def _fields_of(letter: DeadLetter) -> tuple[bytes | str, ...]:
    return letter.entry_id, letter.reason, letter.detail, letter.record
