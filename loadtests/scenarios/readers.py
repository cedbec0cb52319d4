"""Readers: people at home who look through their rides over REST. Each comes with one ride of some minutes."""

import random
import time
from typing import Any

import gevent
from locust import between, task

from loadtests.scenarios.people import Person
from loadtests.scenarios.riders import track_id
from loadtests.scenarios.roads import PLACES, Loop

_FIXES = 300
_FINISHED_WITHIN_SECONDS = 15.0


class Reader(Person):
    """Sends a recorded ride in one batch, waits until it is computed, then reads it in every form."""

    weight = 1
    wait_time = between(0.5, 2)

    def on_start(self) -> None:
        """Come with a ride."""
        super().on_start()
        self.track = track_id()
        road, began = Loop(random.choice(PLACES), random.Random()), time.time() - _FIXES
        fixes = [self._fix(road, seq, began) for seq in range(_FIXES)]
        self.phone.ask("track:start", {"track_id": self.track, "started_at": int(began * 1000)})
        self.phone.ask("location:batch", {"track_id": self.track, "fixes": fixes}, name="location:batch (a ride)")
        self.phone.ask("track:stop", {"track_id": self.track, "last_seq": _FIXES - 1})
        self._await_finished()

    @task(3)
    def list_tracks(self) -> None:
        """My rides."""
        self._get("/v1/tracks")

    @task(2)
    def open_track(self) -> None:
        """One ride: its figures, line and profile, and the first page of its points."""
        for part in ("", "/statistics", "/geometry?zoom=12", "/profile", "/points?limit=100"):
            self._get(f"/v1/tracks/{self.track}{part}", f"/v1/tracks/{{id}}{part.partition('?')[0]}")

    @task(2)
    def see_picture(self) -> None:
        """The picture in the list."""
        self._get(f"/v1/tracks/{self.track}/picture.svg", "/v1/tracks/{id}/picture.svg")

    @task(1)
    def export(self) -> None:
        """Take the ride home."""
        kind = random.choice(("gpx", "geojson"))
        self._get(f"/v1/tracks/{self.track}/export?format={kind}", f"/v1/tracks/{{id}}/export ({kind})")

    @task(1)
    def see_profile(self) -> None:
        """Who am I, and what do I hide?"""
        self._get("/v1/users/profile")
        self._get("/v1/users/zones")

    def _get(self, path: str, name: str | None = None) -> Any:
        return self.client.get(path, headers=self.phone.headers, name=name or path)

    def _await_finished(self) -> None:
        """Until the worker has computed the ride; a failure in the table when that takes too long."""
        began = time.time()
        while time.time() < began + _FINISHED_WITHIN_SECONDS:
            answer = self._get(f"/v1/tracks/{self.track}", "/v1/tracks/{id} (waiting)")
            if answer.ok and answer.json()["state"] == "computed":
                self.phone.measured("WORK", "from batch to computed", time.time() - began)
                return
            gevent.sleep(0.5)
        self.phone.measured("WORK", "from batch to computed", time.time() - began, TimeoutError())

    @staticmethod
    def _fix(road: Loop, seq: int, began: float) -> dict[str, Any]:
        position = road.at(float(seq))
        return {
            "seq": seq,
            "timestamp": int((began + seq) * 1000),
            "latitude": position.latitude,
            "longitude": position.longitude,
            "speed": position.speed,
            "heading": position.heading,
        }
