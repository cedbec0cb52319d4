"""Tells each phone how often to send: at once when somebody begins to watch, more rarely when nobody does."""

from domain.kit.clock import Clock
from domain.location.rules import IntervalReason, SendInterval, send_interval
from realtime.gateway.client import Client
from realtime.gateway.events.location import RATE_SET, RateSet
from realtime.handlers.location.dot import Dot
from realtime.hub.hub import Hub

REVIEW_SECONDS = 1.0
"""How often the intervals are thought over."""


class Rates:
    """The send intervals of the phones that ride on this node."""

    def __init__(self, hub: Hub, clock: Clock, *, watched_ms: int, unwatched_ms: int) -> None:
        self._hub = hub
        self._clock = clock
        self._watched_ms = watched_ms
        self._unwatched_ms = unwatched_ms
        self._phones: dict[str, tuple[Client, Dot]] = {}
        self._told: dict[str, SendInterval] = {}

    def follow(self, client: Client, dot: Dot) -> None:
        """A phone begins to ride; until it is told otherwise it goes by what `session:ready` said."""
        self._phones[client.id] = (client, dot)
        self._told[client.id] = SendInterval(self._unwatched_ms, IntervalReason.UNWATCHED)

    def begin(self, client: Client) -> int:
        """The interval that `track:start` is answered with, in milliseconds: often, until it is known who watches."""
        told = self._told[client.id] = SendInterval(self._watched_ms, IntervalReason.WATCHED)
        return told.milliseconds

    def forget(self, client: Client) -> None:
        """The phone has gone."""
        self._phones.pop(client.id, None)
        self._told.pop(client.id, None)

    async def run(self) -> None:
        """Think the intervals over until cancelled."""
        while True:
            await self._clock.sleep(REVIEW_SECONDS)
            self.review()

    def review(self) -> None:
        """Tell each phone whose interval has changed."""
        for client, dot in list(self._phones.values()):
            if dot.fix is None:
                continue
            interval = send_interval(
                watched=self._hub.watched(dot.rider),
                speed=dot.fix.speed,
                battery=dot.fix.battery,
                watched_ms=self._watched_ms,
                unwatched_ms=self._unwatched_ms,
            )
            if interval != self._told.get(client.id):
                self._told[client.id] = interval
                client.emit(RATE_SET, RateSet(interval.milliseconds, interval.reason))
