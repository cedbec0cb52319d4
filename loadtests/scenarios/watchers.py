"""Watchers: they look at the map near the riders, move it now and then, and ask who the dots are."""

import random
from typing import Any

from locust import between, task

from loadtests.scenarios.people import InTurn, Person
from loadtests.scenarios.riders import SENT
from loadtests.scenarios.sight import Map

_MOST_NAMES = 50
_PLACES = InTurn()


class Watcher(Person):
    """Sees frames; each dot of a rider of this process is timed from its sending (`SEEN`)."""

    weight = 3
    wait_time = between(3, 8)

    def on_start(self) -> None:
        """Look."""
        super().on_start()
        self.look()

    def arrive(self) -> None:
        """Frames are heard from the first one."""
        self.map = Map(SENT)
        self.place = _PLACES.next()
        self.phone.on("location:frame", self.see)

    def see(self, frame: dict[str, Any]) -> None:
        """A frame came."""
        for age in self.map.read(frame):
            self.phone.measured("SEEN", "from send to sight", age)

    @task(3)
    def look(self) -> None:
        """Move or zoom the map: a box of 6 to 20 km around the place."""
        latitude, longitude = self.place
        half = random.uniform(0.03, 0.1)
        bounds = [longitude - half, latitude - half, longitude + half, latitude + half]
        self.phone.ask("map:watch", {"bounds": bounds, "zoom": random.randint(10, 14)})

    @task(2)
    def ask_names(self) -> None:
        """Who are they?"""
        seen = sorted(self.map.riders)
        if seen:
            self.phone.ask("riders:info", {"riders": random.sample(seen, min(_MOST_NAMES, len(seen)))})

    @task(1)
    def look_from_afar(self) -> None:
        """Zoom out to the whole of the Alps."""
        self.phone.ask("map:watch", {"bounds": [5.0, 43.0, 17.0, 48.5], "zoom": 4}, name="map:watch (density)")
