"""Counts of riders for zoomed-out viewers. Once an interval a node counts its own, tells the other nodes, and sends its
viewers what is known of all.

Promises: a rider is counted once; a node that dies drops out when the lifetime of its counts is over; others' counts
are read only while somebody here is zoomed out, once an interval; without Redis this node's own counts go on, and the
others' as long as they would have lived. What may be shown is for `domain.location.density` to say.
"""

import asyncio
import math
from collections import Counter

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.density import shown_counts
from geo.overview import Overview
from realtime.bus.density import RegionCounts
from realtime.handlers.location.density_metrics import DensityMetrics
from realtime.handlers.location.overviews import Overviews, Shown
from realtime.hub.hub import Hub
from realtime.hub.listeners import Listener
from realtime.hub.pace import Slices

LIFE_INTERVALS = 3
"""A node's counts are kept for so many intervals after it last told them."""
_SLICE_SECONDS = 0.005

_log = structlog.get_logger(__name__)


class Density:
    """The counts of this node and of the others, and those who look at them."""

    def __init__(
        self, hub: Hub, store: RegionCounts, clock: Clock, metrics: DensityMetrics, *, interval_seconds: float
    ) -> None:
        self._hub = hub
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._life_seconds = LIFE_INTERVALS * interval_seconds
        self._overviews = Overviews(metrics)
        self._own: dict[int, int] = {}
        self._others: dict[int, int] = {}
        self._read_at = -math.inf
        """When the others' counts were read."""
        self._asked_at = -math.inf
        """When that was last tried, or known to be in vain."""
        self._asking = asyncio.Lock()
        self._shown: Shown | None = None
        self._failing = False

    async def listen(self, viewer: Listener, overview: Overview) -> None:
        """Look at this viewport instead of any before: the counts as they are now are sent before this returns."""
        async with self._asking:  # the first viewer asks for all that come with it
            if not self._overviews and self._clock.monotonic() - self._asked_at >= self._interval_seconds:
                await self._read_others()
        self._overviews.join(viewer, overview, self._current())

    def drop(self, viewer: Listener) -> None:
        """Look at no counts any more."""
        self._overviews.leave(viewer)

    async def run(self) -> None:
        """Tick at fixed times until cancelled; what takes too long costs ticks, which are never caught up."""
        due = self._clock.monotonic()
        while True:
            await self.tick()
            now = self._clock.monotonic()
            due += self._interval_seconds * max(1, math.ceil((now - due) / self._interval_seconds))
            await self._clock.sleep(due - now)

    async def tick(self) -> None:
        """Count, tell, and show. `run` calls it; tests may."""
        began = self._clock.monotonic()
        told = await self._tell()
        if self._overviews:
            if told:
                await self._read_others()
            if self._clock.monotonic() - self._read_at >= self._life_seconds:
                self._others = {}
            self._shown = None
            await self._overviews.show(self._current(), Slices(self._clock, _SLICE_SECONDS))
        else:
            self._forget_others(ask_again=told)
        self._metrics.seconds.observe(self._clock.monotonic() - began)

    async def _tell(self) -> bool:
        """Count the riders here and let the other nodes know; whether they do."""
        doubtful = await self._count()
        try:
            passed = await self._store.put(self._own, doubtful)
            if passed:
                for channel, rows in passed.items():
                    await self._hub.learn(channel, rows)
                await self._count()
                await self._store.put(self._own)
        except Unavailable as error:
            self._failed(error)
            return False
        self._works()
        return True

    async def _count(self) -> dict[str, dict[int, int]]:
        census = await self._hub.census(silent_seconds=self._life_seconds)
        self._own = census.counts
        self._metrics.riders.set(sum(census.counts.values()))
        return census.doubtful

    async def _read_others(self) -> None:
        self._asked_at = self._clock.monotonic()
        try:
            self._others = await self._store.read_others()
        except Unavailable as error:
            self._failed(error)
        else:
            self._read_at = self._clock.monotonic()
        self._shown = None

    def _forget_others(self, *, ask_again: bool) -> None:
        """Nobody looks: what is known of the others grows old. `ask_again` for the next one who looks."""
        self._others, self._shown = {}, None
        self._asked_at = -math.inf if ask_again else self._clock.monotonic()

    def _current(self) -> Shown:
        """What is shown until the next tick."""
        if self._shown is None:
            self._shown = Shown(shown_counts(Counter(self._own) + Counter(self._others)))
        return self._shown

    def _failed(self, error: Unavailable) -> None:
        self._metrics.failures.inc()
        if not self._failing:
            _log.warning("counts_not_exchanged", error=error.message)
        self._failing = True

    def _works(self) -> None:
        if self._failing:
            _log.info("counts_exchanged_again")
        self._failing = False
