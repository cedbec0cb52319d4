"""Who rides what: recorded tracks shared out among the riders, or roads made up as they go."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from loadtests.replay.options import DEFAULT_RIDERS, DEFAULT_WITHIN_SECONDS, Options
from loadtests.replay.schedule import Schedule, late_stretches, schedule, speedup_within
from loadtests.replay.sources import roads
from loadtests.replay.sources.library import Library, read_directory
from loadtests.replay.sources.tracks import Track, track_of

_DEFAULT_AREA = (46.53, 10.45)  # around the Stelvio
_ENDLESS_RIDE_SECONDS = 900
"""How long one track of an endless rider is, before it stops and begins the next."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A track and when its fixes are sent."""

    track: Track
    plan: Schedule


class Journeys:
    """The journeys of a run; riders take one after another until there are none."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._random = Random(options.seed)
        self.library = Library() if options.tracks is None else read_directory(options.tracks)
        if options.tracks is None:
            self.riders = options.riders or DEFAULT_RIDERS
            self._generated = list(roads.riders(_areas(options), self.riders, options.seed))
        else:
            self.riders = options.riders or len(self.library.tracks)
        count = max(self.riders, len(self.library.tracks))
        # More riders than tracks: some tracks are ridden by several riders, each as a track of its own.
        self._recorded = iter(list(itertools.islice(itertools.cycle(self.library.tracks), count)))

    def of_rider(self, index: int) -> Iterator[Journey]:
        """What this rider rides, one after another."""
        if self._options.tracks is not None:
            for track in self._recorded:
                yield self._recorded_journey(track)
            return
        number = 0
        while number == 0 or self._options.forever:
            yield self._generated_journey(index, number)
            number += 1

    def _recorded_journey(self, track: Track) -> Journey:
        options = self._options
        speedup = options.speedup or speedup_within(track.fixes, options.within or DEFAULT_WITHIN_SECONDS)
        late = late_stretches(len(track.fixes), self._random)
        return Journey(track, schedule(track.fixes, speedup, late))

    def _generated_journey(self, index: int, number: int) -> Journey:
        options = self._options
        seconds = _ENDLESS_RIDE_SECONDS if options.forever else options.seconds
        speedup = options.speedup or max(1.0, seconds / options.within if options.within else 1.0)
        now_ms = time.time_ns() // 1_000_000
        # The last fix is not ahead of the clock when it is sent, however fast the ride is replayed.
        began_ms = now_ms - round(seconds * 1000 * (1 - 1 / speedup))
        points = self._generated[index].ride(seconds, began_ms)
        track = track_of(f"road {index + 1}.{number + 1}", points)
        late = () if options.forever else late_stretches(len(points), self._random)
        return Journey(track, schedule(track.fixes, speedup, late))


def _areas(options: Options) -> tuple[roads.Area, ...]:
    if options.area is not None:
        return (options.area,)
    if options.worldwide:
        return roads.areas_worldwide(options.radius_metres)
    return (roads.Area(*_DEFAULT_AREA, options.radius_metres),)
