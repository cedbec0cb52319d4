"""From frames to latencies: which fix of the watched rider a frame shows, and how long after sending it came.

Positions in frames are integers of 1e-5 degree from the topic's origin. A frame that shows a fix also counts for the
earlier ones not seen yet: newest wins, they were conflated.
"""

from collections import deque
from typing import Any

from loadtests.replay.ledger import Sighting

_UNITS = 100_000
_TURN = 360 * _UNITS
_TOLERANCE = 1  # the origin and the position are each rounded once

Place = tuple[int, int]


def place_of(latitude: float, longitude: float) -> Place:
    """Degrees as integers of 1e-5 degree, the longitude from 0 to 360."""
    return round(latitude * _UNITS), round(longitude * _UNITS) % _TURN


def same_place(one: Place, other: Place) -> bool:
    """Whether two places are the same but for rounding, also across the antimeridian."""
    east = abs(one[1] - other[1])
    return abs(one[0] - other[0]) <= _TOLERANCE and min(east, _TURN - east) <= _TOLERANCE


class Sight:
    """The fixes of one rider that were sent live, matched with what its watcher receives."""

    def __init__(self, tick: float = 0.2) -> None:
        self.tick = tick
        """Seconds of a tick."""
        self._pending: deque[tuple[Place, Sighting]] = deque()

    @property
    def pending(self) -> int:
        """How many live fixes have not been seen yet."""
        return len(self._pending)

    def expect(self, place: Place, sighting: Sighting) -> None:
        """A fix was sent live."""
        self._pending.append((place, sighting))

    def saw(self, place: Place, age_ticks: int, at: float) -> None:
        """A frame showed the rider at `place`, received by the server `age_ticks` before."""
        received_by_server = at - age_ticks * self.tick
        newest = -1
        for index, (expected, sighting) in enumerate(self._pending):
            if sighting.sent_at <= received_by_server and same_place(expected, place):
                newest = index
        for index in range(newest + 1):
            _, sighting = self._pending.popleft()
            sighting.seen_at = at
            sighting.conflated = index < newest


class FrameReader:
    """Absolute places from frames; keeps the origin of each topic, which comes with its snapshot."""

    def __init__(self) -> None:
        self._origins: dict[str, Place] = {}
        self.without_origin = 0

    def read(self, frame: dict[str, Any]) -> list[tuple[int, Place, int]]:
        """(rider, place, age in ticks) of each dot in the frame."""
        topic = str(frame.get("topic"))
        if (origin := frame.get("origin")) is not None:
            self._origins[topic] = place_of(origin[0], origin[1])
        base = self._origins.get(topic)
        rows: list[list[int]] = frame.get("riders") or []
        if base is None:
            self.without_origin += bool(rows)
            return []
        return [(row[0], (base[0] + row[1], (base[1] + row[2]) % _TURN), row[5]) for row in rows]
