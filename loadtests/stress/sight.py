"""What one watcher's map shows: which riders are on which topics, where; and what must never be seen there.

One dot for each rider at every moment, never back to an older place, never gone while the rider is heard. Pure: frames
in, faults out; the times are the caller's, and what the map has to know of beside what it has shown.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.stress.ride import UNITS, Fix, Place, Ride

TOGETHER_SECONDS = 0.5
"""Arrivals are sent before departures: for so long, within one tick, a rider may be on the topic before, too."""
EARLY_SECONDS = 0.3
"""Before a position's age ends it, by the phone's clock: a dot that goes then is not missed."""
_FULL_TURN = 360 * UNITS


@dataclass
class Dot:
    """One rider on one map: where each topic has them, the one heard last at the end."""

    places: dict[str, Place] = field(default_factory=dict)
    newest_seq: int = -1
    """The newest fix that this map has shown."""
    apart_since: float | None = None
    """Since when two topics disagree."""

    @property
    def place(self) -> Place | None:
        """Where the map shows the rider."""
        return next(reversed(self.places.values()), None)

    @property
    def is_double(self) -> bool:
        """Whether the rider is in two places."""
        return len(set(self.places.values())) > 1


class Sight:
    """A map, from the moment on which it is watched. `apply` tells what is wrong with each frame, in sentences."""

    def __init__(
        self,
        rides: Mapping[int, Ride],
        *,
        life_seconds: float,
        since: float,
        has_arrived: Callable[[Fix, float], bool] = lambda fix, now: False,
    ) -> None:
        """`has_arrived`: whether the map's node has to know of a fix at that moment, shown or not."""
        self.since = since
        self.news: list[Fix] = []
        """The fixes that the last frame showed first."""
        self._rides = rides
        self._life_seconds = life_seconds
        self._has_arrived = has_arrived
        self._origins: dict[str, Place] = {}
        self._dots: dict[int, Dot] = {}

    def shown(self, rider: int) -> int | None:
        """The number of the fix that the map shows, None when the rider is not on it."""
        dot = self._dots.get(rider)
        if dot is None or dot.place is None:
            return None
        return self._rides[rider].seq_at.get(dot.place)

    def newest(self, rider: int) -> int:
        """The number of the newest fix that the map has shown, -1 when it has shown none."""
        dot = self._dots.get(rider)
        return -1 if dot is None else dot.newest_seq

    def apply(self, frame: Mapping[str, Any], now: float) -> list[str]:
        """Take a `location:frame`; what must not be."""
        topic = str(frame["topic"])
        self.news = []
        before = {rider: dot.place for rider, dot in self._dots.items()}
        if (origin := frame.get("origin")) is not None:
            self._origins[topic] = (round(origin[0] * UNITS), round(origin[1] * UNITS))
        if frame.get("snapshot"):
            for dot in self._dots.values():
                dot.places.pop(topic, None)
        faults = list(self._arrivals(topic, frame.get("riders") or ()))
        for rider in frame.get("gone") or ():
            if rider in self._dots:
                self._dots[rider].places.pop(topic, None)
        faults += self._departures(before, now)
        faults += self._doubles(now)
        return faults

    def _arrivals(self, topic: str, rows: "list[list[int]] | tuple[()]") -> Iterator[str]:
        origin = self._origins.get(topic, (0, 0))
        for rider, north, east, *_ in rows:
            ride = self._rides.get(rider)
            if ride is None:
                continue
            longitude = (origin[1] + east + _FULL_TURN // 2) % _FULL_TURN - _FULL_TURN // 2
            place = (origin[0] + north, longitude)
            dot = self._dots.setdefault(rider, Dot())
            dot.places.pop(topic, None)
            dot.places[topic] = place
            seq = ride.seq_at.get(place)
            if seq is None:
                yield f"rider {rider} is shown where they never were"
            elif seq < dot.newest_seq:
                yield f"rider {rider} went back from fix {dot.newest_seq} to fix {seq}"
            elif seq > dot.newest_seq:
                dot.newest_seq = seq
                self.news.append(ride.fixes[seq])

    def _departures(self, before: Mapping[int, Place | None], now: float) -> Iterator[str]:
        for rider, place in before.items():
            ride = self._rides[rider]
            if place is None or self._dots[rider].place is not None or ride.hidden_at is not None:
                continue
            spoke_at = self._heard(ride, place, now)
            if spoke_at is not None and now - spoke_at < self._life_seconds - EARLY_SECONDS:
                yield f"rider {rider} is nowhere, {now - spoke_at:.2f} s after having spoken"

    def _heard(self, ride: Ride, shown: Place, now: float) -> float | None:
        """When the newest fix was sent of which this map has to know: the one that it showed, if no later one."""
        seq = ride.seq_at.get(shown, -1)
        later = (fix.sent_at for fix in reversed(ride.fixes[seq + 1 :]) if self._has_arrived(fix, now))
        return next(later, ride.fixes[seq].sent_at if seq >= 0 else None)

    def _doubles(self, now: float) -> Iterator[str]:
        for rider, dot in self._dots.items():
            if not dot.is_double:
                dot.apart_since = None
            elif dot.apart_since is None:
                dot.apart_since = now
            elif now - dot.apart_since > TOGETHER_SECONDS:
                dot.apart_since = now
                yield f"rider {rider} is in two places"
