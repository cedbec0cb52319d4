"""Where the riders of the benchmark ride: groups in cells far apart, each group within one cell of the map."""

import random
from dataclasses import dataclass

from geo import cells

_CITIES = (
    (48.137, 11.575), (52.520, 13.405), (48.857, 2.352), (48.208, 16.372), (47.377, 8.541),
    (45.464, 9.190), (50.075, 14.437), (53.551, 9.993), (45.764, 4.836), (41.902, 12.496),
)  # fmt: skip
_TOPIC = 7
_REACH = 0.005
"""Degrees from the centre of a cell of resolution 7 that are within it in every direction."""
_WAVE = 0.004
"""How far a rider goes north and back (`{wave:…}` of the generator)."""
_ZOOM = 9.5
_APART_DEGREES = 0.5


@dataclass(frozen=True)
class Place:
    """A cell in which everybody sees everybody."""

    name: str
    latitude: float
    longitude: float

    def bounds(self) -> list[float]:
        """A box around the centre, for `map:watch`."""
        west, east = self.longitude - _REACH, self.longitude + _REACH
        return [round(degrees, 6) for degrees in (west, self.latitude - _REACH, east, self.latitude + _REACH)]

    def watch(self) -> str:
        """The event with which a watcher of ours looks at it."""
        box = ",".join(str(degrees) for degrees in self.bounds())
        return f'["map:watch",{{"bounds":[{box}],"zoom":{_ZOOM}}}]'

    def fix(self, chance: random.Random, *, told_apart: bool = False) -> str:
        """A fix of a rider who goes to and fro here at 11 m/s, as the generator fills it in.

        `told_apart`: each has a heading of its own, by which the generator knows it again in a frame.
        """
        heading = "{turn}" if told_apart else f"{chance.randrange(360)}.0"
        south = self.latitude - _REACH + chance.random() * (2 * _REACH - _WAVE)
        degrees, decimals = f"{south:.5f}".split(".")
        longitude = self.longitude + chance.uniform(-_REACH, _REACH)
        return (
            f'{{"seq":{{seq}},"timestamp":{{now}},"latitude":{degrees}.{{wave:{decimals}}},"longitude":{longitude:.5f},'
            f'"altitude":512.3,"accuracy":4.8,"speed":11.1,"heading":{heading}}}'
        )


def places(count: int = len(_CITIES)) -> list[Place]:
    """So many places, ten to begin with: what lies east of a city is out of its sight."""
    turns = (divmod(number, len(_CITIES)) for number in range(count))
    return [_in_the_middle_of(_CITIES[city][0], _CITIES[city][1] + times * _APART_DEGREES) for times, city in turns]


def _in_the_middle_of(latitude: float, longitude: float) -> Place:
    cell = cells.parent(cells.cell_at(latitude, longitude), _TOPIC)
    north, east = cells.centre(cell)
    # The generator counts in decimals of one degree: the wave must not carry into the next.
    if not 2 * _REACH < north % 1 < 1 - 2 * _REACH:
        raise ValueError(f"{north} is too near to a whole degree")
    return Place(cells.name(cell), north, east)
