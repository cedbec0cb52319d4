"""Nodes' buses for tests, and what they heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.redis_bus import RedisBus
from tests.support.waiting import eventually

PATIENT: dict[str, float] = {"timeout_seconds": 10.0, "deaf_seconds": 30.0}
"""Where Redis is well it answers in the end: a machine that stands still for a moment is no fault of it."""


def options_of(url: str, **changed: Any) -> BusOptions:
    """A bus that notices at once what can be noticed at once, and is patient unless it is told otherwise."""
    quick = {"heartbeat_seconds": 0.1, "reconnect_seconds": 0.02}
    return BusOptions(url, **{**PATIENT, **quick, **changed})


class Ear:
    """A node's bus, and what it heard."""

    def __init__(self, url: str, name: str, **changed: Any) -> None:
        options = options_of(url, **changed)
        self.bus = RedisBus(name, SystemClock(), options, BusMetrics(CollectorRegistry()))
        self.heard: list[tuple[str, bytes]] = []
        self.restored = 0
        self.bus.attach(lambda channel, rows: self.heard.append((channel, rows)), self._restored)

    def _restored(self) -> None:
        self.restored += 1


@asynccontextmanager
async def ears(url: str, *names: str, **changed: Any) -> AsyncIterator[list[Ear]]:
    made = [Ear(url, name, **changed) for name in names]
    tasks = [asyncio.create_task(ear.bus.run()) for ear in made]
    try:
        await eventually(lambda: all(ear.bus.connected and ear.bus.heard_seconds_ago() < 1 for ear in made))
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
