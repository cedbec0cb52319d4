"""Nodes' buses for tests, and what they heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.redis_bus import RedisBus
from tests.support.waiting import eventually


class Ear:
    """A node's bus, and what it heard."""

    def __init__(self, url: str, name: str) -> None:
        options = BusOptions(url, timeout_seconds=0.5, heartbeat_seconds=0.1, reconnect_seconds=0.02)
        self.bus = RedisBus(name, SystemClock(), options, BusMetrics(CollectorRegistry()))
        self.heard: list[tuple[str, bytes]] = []
        self.restored = 0
        self.bus.attach(lambda channel, rows: self.heard.append((channel, rows)), self._restored)

    def _restored(self) -> None:
        self.restored += 1


@asynccontextmanager
async def ears(url: str, *names: str) -> AsyncIterator[list[Ear]]:
    made = [Ear(url, name) for name in names]
    tasks = [asyncio.create_task(ear.bus.run()) for ear in made]
    try:
        await eventually(lambda: all(ear.bus.connected and ear.bus.heard_seconds_ago() < 1 for ear in made))
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
