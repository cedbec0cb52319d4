"""Keeps the cursors of a node true: where new ones stand, what is missing of others, and every second a look at all.

One query for all that connect within a moment, one for all gaps, one for each few thousand streams that are compared.
Without Postgres it tries again every second.
"""

import asyncio
from collections.abc import Iterable

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import run_together
from domain.streams.rules import Head
from realtime.gateway.streams.cursor import Cursor
from realtime.gateway.streams.cursors import Cursors, Work
from realtime.gateway.streams.greetings import Greetings
from realtime.gateway.streams.history import MOST_EVENTS, History

COMPARE_SECONDS = 1.0
_PLACED_AT_ONCE = 500
_STORM = 5
"""When so many were placed at once, more are coming …"""
_GATHER_SECONDS = 0.02
"""… and the next query waits so long for them: a query costs more than all that it has to say of a few streams."""
_FILLED_AT_ONCE = 50
_COMPARED_AT_ONCE = 2000
"""Streams in one query: more would keep the event loop for longer than a slice of a tick."""
_PATIENCE_SECONDS = 0.02
"""What comes in another order than it was sent closes its gap by itself within this, nearly always."""
_PLACED_WITHIN_SECONDS = 0.5
"""Clients that connect wait so long for Postgres, at most."""

_log = structlog.get_logger(__name__)


class Keeper:
    """Reads what cursors need."""

    def __init__(self, cursors: Cursors, greetings: Greetings, history: History, clock: Clock) -> None:
        self._cursors = cursors
        self._greetings = greetings
        self._history = history
        self._clock = clock
        self._doubt = asyncio.Event()
        cursors.doubt = self.doubt

    def doubt(self) -> None:
        """Hints may have been missed: compare all streams now."""
        self._doubt.set()

    async def run(self) -> None:
        """Keep them until cancelled."""
        works = {
            "place": self._keep_placing(),
            "fill": self._keep_filling(),
            "compare": self._keep_comparing(),
            "clock": self._keep_doubting(),
        }
        await run_together("cursors", works)

    # Where new ones stand

    async def _keep_placing(self) -> None:
        while True:
            await self._cursors.unplaced.due.wait()
            many = len(self._cursors.unplaced) >= _STORM
            if not await self.place():
                await self._clock.sleep(COMPARE_SECONDS)
            elif many:
                await self._clock.sleep(_GATHER_SECONDS)

    async def place(self) -> bool:
        """Learn where some of the new ones stand, and have their clients greeted; whether Postgres answered."""
        some = self._cursors.unplaced.take(_PLACED_AT_ONCE)
        try:
            async with asyncio.timeout(_PLACED_WITHIN_SECONDS):
                heads = await self._history.heads([cursor.name for cursor in some])
        except (Unavailable, TimeoutError):
            self._try_again(self._cursors.unplaced, (cursor for cursor in some if not cursor.placed))
            self._greetings.give_up()
            return False
        for cursor in some:
            self._cursors.place(cursor, heads[cursor.name])
        self._greetings.learnt()
        return True

    # What is missing

    async def _keep_filling(self) -> None:
        while True:
            await self._cursors.behind.due.wait()
            await self._clock.sleep(_PATIENCE_SECONDS)
            if not await self.fill():
                await self._clock.sleep(COMPARE_SECONDS)

    async def fill(self) -> bool:
        """Read what some cursors miss; whether Postgres answered."""
        some = [cursor for cursor in self._cursors.behind.take(_FILLED_AT_ONCE) if cursor.behind]
        if not some:
            return True
        try:
            asked = {cursor: cursor.head for cursor in some}
            parts = await self._history.read_all({cursor.name: cursor.seq for cursor in some}, MOST_EVENTS)
        except Unavailable:
            self._try_again(self._cursors.behind, some)
            return False
        for cursor in some:
            self._cursors.fill(cursor, parts[cursor.name], asked[cursor])
        return True

    # Whether anything is

    async def _keep_doubting(self) -> None:
        while True:
            await self._clock.sleep(COMPARE_SECONDS)
            self.doubt()

    async def _keep_comparing(self) -> None:
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            self._cursors.forget_old()
            everything = list(self._cursors)
            for first in range(0, len(everything), _COMPARED_AT_ONCE):
                if not await self.compare(everything[first : first + _COMPARED_AT_ONCE]):
                    break

    async def compare(self, cursors: Iterable[Cursor]) -> bool:
        """Ask Postgres which of these stand elsewhere; whether it answered."""
        by_epoch: dict[str, dict[str, Cursor]] = {}
        for cursor in cursors:
            if cursor.placed:
                by_epoch.setdefault(cursor.epoch, {})[cursor.name] = cursor
        try:
            for epoch, some in by_epoch.items():
                asked = {name: cursor.seq for name, cursor in some.items() if cursor.epoch == epoch}
                for name, head in (await self._history.differing(epoch, asked)).items():
                    self._cursors.compare(some[name], head, Head(epoch, asked[name]))
        except Unavailable:
            return False
        return True

    def _try_again(self, work: Work, cursors: Iterable[Cursor]) -> None:
        for cursor in cursors:
            if self._cursors.get(cursor.name) is cursor:
                work.add(cursor)
