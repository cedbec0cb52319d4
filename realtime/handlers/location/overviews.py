"""Who looks at which zoomed-out viewport of the map, and what they were sent last.

Viewers of the same viewport are sent the same packet, encoded once. A viewer that does not keep up is passed over and
sent the newest when it does: nothing is queued for it.
"""

from collections.abc import Sequence
from functools import lru_cache

from domain.location.density import Counts
from geo import cells
from geo.overview import Grid, Overview
from realtime.gateway.events.location import LOCATION_DENSITY, LocationDensity
from realtime.handlers.location.density_metrics import DensityMetrics
from realtime.hub.listeners import Listener
from realtime.hub.pace import Slices
from realtime.wire.packets import Packet

SLOW_PACKETS = 256
"""A viewer with more packets unwritten is passed over."""
_HANDED_BETWEEN_LOOKS = 64
"""Packets handed over between two looks at the clock."""

_centre = lru_cache(maxsize=65_536)(cells.centre)


class _View:
    """One viewport and its viewers."""

    def __init__(self, overview: Overview) -> None:
        self.overview = overview
        self.viewers: dict[str, Listener] = {}
        self.lagging: set[str] = set()
        self.packet: Packet


class Shown:
    """What is shown at one moment, at each resolution; sorted into squares when somebody looks at it."""

    def __init__(self, levels: Sequence[Counts]) -> None:
        self._levels = levels
        self._squares: dict[tuple[int, Grid], dict[int, list[tuple[str, int]]]] = {}

    def packet(self, overview: Overview) -> Packet:
        """The event for viewers of this viewport."""
        squares = self._in_squares(overview.resolution, overview.grid)
        seen = [pair for square in overview.squares() for pair in squares.get(square, ())]
        return LOCATION_DENSITY.packet(LocationDensity(overview.resolution, seen))

    def _in_squares(self, resolution: int, grid: Grid) -> dict[int, list[tuple[str, int]]]:
        squares = self._squares.get((resolution, grid))
        if squares is None:
            squares = self._squares[resolution, grid] = {}
            for cell, riders in sorted(self._levels[resolution].items()):
                square = grid.square(*_centre(cell))
                squares.setdefault(square, []).append((cells.name(cell), riders))
        return squares


class Overviews:
    """All zoomed-out viewers of this node."""

    def __init__(self, metrics: DensityMetrics) -> None:
        self._metrics = metrics
        self._views: dict[Overview, _View] = {}
        self._view_of: dict[str, _View] = {}

    def __len__(self) -> int:
        """How many different viewports are looked at."""
        return len(self._views)

    def join(self, viewer: Listener, overview: Overview, shown: Shown) -> None:
        """Look at this viewport, and no other; begins with what is shown there now."""
        view = self._views.get(overview)
        if view is None:
            view = _View(overview)
            view.packet = self._encode(view, shown)
        self.leave(viewer)
        self._views[overview] = self._view_of[viewer.id] = view
        view.viewers[viewer.id] = viewer
        viewer.send(view.packet)
        self._count()

    def leave(self, viewer: Listener) -> None:
        """Look at no viewport any more."""
        view = self._view_of.pop(viewer.id, None)
        if view is not None:
            del view.viewers[viewer.id]
            view.lagging.discard(viewer.id)
            if not view.viewers:
                del self._views[view.overview]
            self._count()

    async def show(self, shown: Shown, slices: Slices) -> None:
        """Send everybody what is shown now, where it has changed."""
        for view in list(self._views.values()):
            packet = self._encode(view, shown)
            changed = packet.text != view.packet.text
            if changed:
                view.packet = packet
            await self._hand(view, list(view.viewers if changed else view.lagging), slices)
            if slices.used_up:
                await slices.rest()

    async def _hand(self, view: _View, names: list[str], slices: Slices) -> None:
        for count, name in enumerate(names, 1):
            viewer = view.viewers.get(name)
            if viewer is None:
                continue
            if viewer.backlog() > SLOW_PACKETS:
                view.lagging.add(name)
            else:
                view.lagging.discard(name)
                viewer.send(view.packet)
            if count % _HANDED_BETWEEN_LOOKS == 0 and slices.used_up:
                await slices.rest()
        skipped = len(view.lagging)
        self._metrics.frames_skipped.inc(skipped)
        self._metrics.frames_handed.inc(max(0, len(names) - skipped))

    def _encode(self, view: _View, shown: Shown) -> Packet:
        self._metrics.frames_encoded.inc()
        return shown.packet(view.overview)

    def _count(self) -> None:
        self._metrics.viewers.set(len(self._view_of))
        self._metrics.viewports.set(len(self._views))
