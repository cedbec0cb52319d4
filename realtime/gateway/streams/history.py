"""Reads of history for many at once: what is wanted during one read goes together in the next one.

Those who want the same stream share what is read of it, from the lowest number that any of them has.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from domain.kit.errors import Unavailable
from domain.streams.rules import Head, Slice

MOST_EVENTS = 1000
"""Events of one slice; whoever misses more gets a snapshot."""
_STREAMS_AT_ONCE = 50
_READ_SECONDS = 2.5


class History(Protocol):
    """Where events are kept (`domain.streams.service.Streams`)."""

    async def heads(self, streams: list[str]) -> dict[str, Head]:
        """Where the streams stand. Raises Unavailable."""
        ...

    async def differing(self, epoch: str, known: Mapping[str, int]) -> dict[str, Head]:
        """Of streams thought to be at these numbers of this epoch: where those stand that are not."""
        ...

    async def read_all(self, after: Mapping[str, int], limit: int) -> dict[str, Slice]:
        """What follows these numbers, so many events of each at most. Raises Unavailable."""
        ...


class HistoryReader:
    """Slices of streams, read by one task."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._wanted: dict[str, tuple[int, list[asyncio.Future[Slice]]]] = {}
        self._more = asyncio.Event()

    async def read(self, after: Mapping[str, int]) -> dict[str, Slice]:
        """What follows these numbers of these streams, and perhaps some before it. Raises Unavailable."""
        asked = {stream: self._ask(stream, seq) for stream, seq in after.items()}
        found = {stream: await future for stream, future in asked.items()}
        alone = {stream: seq for stream, seq in after.items() if _is_cut_short(found[stream], seq)}
        return found | await self._read_alone(alone) if alone else found

    async def _read_alone(self, after: Mapping[str, int]) -> dict[str, Slice]:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await self._history.read_all(after, MOST_EVENTS)
        except TimeoutError as error:
            raise _not_now() from error

    def _ask(self, stream: str, after: int) -> asyncio.Future[Slice]:
        found: asyncio.Future[Slice] = asyncio.get_running_loop().create_future()
        lowest, waiting = self._wanted.get(stream, (after, []))
        waiting.append(found)
        self._wanted[stream] = (min(after, lowest), waiting)
        self._more.set()
        return found

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._more.wait()
            names = list(self._wanted)[:_STREAMS_AT_ONCE]
            batch = {name: self._wanted.pop(name) for name in names}
            if not self._wanted:
                self._more.clear()
            await self._read(batch)

    async def _read(self, batch: dict[str, tuple[int, list[asyncio.Future[Slice]]]]) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                after = {name: lowest for name, (lowest, _) in batch.items()}
                found = await self._history.read_all(after, MOST_EVENTS)
        except (Unavailable, TimeoutError):
            error = _not_now()
            for _, waiting in batch.values():
                for future in waiting:
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # of several that one call waits for it takes the first
            return
        for name, (_, waiting) in batch.items():
            for future in waiting:
                if not future.done():
                    future.set_result(found[name])


def _not_now() -> Unavailable:
    return Unavailable("what was missed cannot be read just now; ask again", retry_after_ms=1000)


def _is_cut_short(part: Slice, after: int) -> bool:
    """Whether somebody else wanted what is so long before that together it was too much."""
    return bool(part.events) and part.events[0].seq <= after and part.events[-1].seq < part.head.seq
