"""What all simulated people have in common: a server of the site that is theirs, and a phone."""

import itertools
import os
from collections.abc import Iterator

from locust import HttpUser
from locust.env import Environment

from loadtests.scenarios.phone import Phone
from loadtests.scenarios.roads import PLACES

_URLS: Iterator[str] = itertools.cycle(os.environ.get("LOAD_URLS", "").split() or [""])
"""Nodes to share out; without any, Locust's own `--host` is everybody's."""


class InTurn:
    """The passes one after another, so that every kind of people is at each of them."""

    def __init__(self) -> None:
        self._places = itertools.cycle(PLACES)

    def next(self) -> tuple[float, float]:
        """The next pass: latitude and longitude."""
        return next(self._places)


class Person(HttpUser):
    """Comes with an account and an open socket, on the next node in turn; leaves in good order."""

    abstract = True
    host: str | None

    def __init__(self, environment: Environment) -> None:
        self.host = next(_URLS) or self.host
        super().__init__(environment)

    def on_start(self) -> None:
        """Sign up and connect."""
        self.phone = Phone(self.environment, self.client, str(self.host))
        self.phone.sign_up()
        self.arrive()
        self.phone.connect()

    def arrive(self) -> None:
        """Called before the socket opens: what has to be heard from the beginning."""

    def on_stop(self) -> None:
        """Leave."""
        self.phone.leave()
