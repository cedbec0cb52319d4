"""From send to sight: when the riders of this process sent a position, and when its watchers saw it.

Riders of other Locust processes are counted as seen and not timed. A position that was conflated with a newer one is
not timed either: the newer one is.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

_KEPT = 20
"""Positions remembered of each rider; older ones are not waited for."""


class SentPositions:
    """What the riders of this process have sent lately."""

    def __init__(self) -> None:
        self._sent: dict[int, OrderedDict[tuple[int, int], float]] = {}

    def note(self, rider: int, latitude: float, longitude: float) -> None:
        """This position is being sent now."""
        sent = self._sent.setdefault(rider, OrderedDict())
        sent[_cell(latitude, longitude)] = time.perf_counter()
        while len(sent) > _KEPT:
            sent.popitem(last=False)

    def seconds_since(self, rider: int, cell: tuple[int, int]) -> float | None:
        """How long ago it was sent, None for a position that is not of this process."""
        sent = self._sent.get(rider)
        return None if sent is None or cell not in sent else time.perf_counter() - sent[cell]


class Map:
    """One watcher's picture: the origins of its topics, and how old each new dot is."""

    def __init__(self, sent: SentPositions) -> None:
        self._sent = sent
        self._origins: dict[str, tuple[float, float]] = {}
        self._last: dict[int, tuple[int, int]] = {}
        self.riders: set[int] = set()

    def read(self, frame: dict[str, Any]) -> Iterator[float]:
        """Take a `location:frame` in; the ages, in seconds, of the positions that are new to this watcher."""
        topic = frame["topic"]
        if "origin" in frame:
            self._origins[topic] = tuple(frame["origin"])
        latitude, longitude = self._origins[topic]
        for rider, d_latitude, d_longitude, *_ in frame.get("riders", ()):
            cell = _cell(latitude + d_latitude / 1e5, longitude + d_longitude / 1e5)
            self.riders.add(rider)
            if self._last.get(rider) == cell:
                continue
            self._last[rider] = cell
            age = self._sent.seconds_since(rider, cell)
            if age is not None and not frame.get("snapshot"):
                yield age
        self.riders.difference_update(frame.get("gone", ()))


def _cell(latitude: float, longitude: float) -> tuple[int, int]:
    return round(latitude * 1e5), round(longitude * 1e5)
