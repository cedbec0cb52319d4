"""Riders: one fix an interval, as often as the server asks for; some ride through tunnels and send the rest later."""

import os
import random
import time
from typing import Any

import gevent
from locust import task

from loadtests.scenarios.people import InTurn, Person
from loadtests.scenarios.roads import Loop
from loadtests.scenarios.sight import SentPositions

SENT = SentPositions()
"""Shared by all users of this Locust process: watchers look up here when a dot was sent."""
_PLACES = InTurn()


def track_id() -> str:
    """A UUIDv7 (RFC 9562): milliseconds, then chance."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Rider(Person):
    """Shares with the public and rides round a bend, fix by fix."""

    weight = 5

    def on_start(self) -> None:
        """Share, and begin a track."""
        super().on_start()
        self.road = Loop(_PLACES.next(), random.Random())
        self.next_seq = 0
        self.phone.ask("sharing:set", {"audience": "public"})
        self.track = track_id()
        self.began = time.time()
        self.phone.ask("track:start", {"track_id": self.track, "started_at": int(self.began * 1000)})

    def on_stop(self) -> None:
        """The ride is over."""
        if self.phone.connected and self.next_seq:
            self.phone.ask("track:stop", {"track_id": self.track, "last_seq": self.next_seq - 1})
        super().on_stop()

    def wait_time(self) -> float:
        """Until the next fix: what the server asked for, not all at once."""
        return self.phone.interval_seconds * random.uniform(0.9, 1.1)

    @task
    def ride(self) -> None:
        """The only task: Locust would give a kind of rider with a task of its own this one as well."""
        self.ride_on()

    def ride_on(self) -> None:
        """Send where we are."""
        fix = self.next_fix()
        SENT.note(self.phone.rider, fix["latitude"], fix["longitude"])
        self.phone.ask("location:update", {"track_id": self.track, "fix": fix})

    def next_fix(self) -> dict[str, Any]:
        """The next fix of the track."""
        now = time.time()
        position = self.road.at(now - self.began)
        fix = {
            "seq": self.next_seq,
            "timestamp": int(now * 1000),
            "latitude": position.latitude,
            "longitude": position.longitude,
            "speed": position.speed,
            "heading": position.heading,
            "accuracy": 4.0,
        }
        self.next_seq += 1
        return fix


class TunnelRider(Rider):
    """A phone that loses its network after each fix, keeps what it records, and sends it when it is back."""

    weight = 1
    _LONGEST_TUNNEL_SECONDS = 4.0

    def ride_on(self) -> None:
        """A fix in the open, a tunnel, and the way back."""
        super().ride_on()
        self.phone.cut()
        kept = []
        out = time.time() + random.uniform(1.0, self._LONGEST_TUNNEL_SECONDS)
        while time.time() < out:
            kept.append(self.next_fix())
            gevent.sleep(0.5)
        self.phone.connect("reconnect")
        answer = self.phone.ask("location:batch", {"track_id": self.track, "fixes": kept})
        if answer is not None and answer["accepted"] != len(kept):
            lost = AssertionError(f"{answer['accepted']} of {len(kept)} were kept")
            self.phone.measured("SIO", "location:batch", 0.0, lost)
