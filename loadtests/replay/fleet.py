"""All riders and watchers of a run: connects them, lets them ride, and keeps the ledgers.

Rider i is on node i, its watcher on the next node. Everything ends when the last journey has ended, or on
cancellation; endless fleets keep no ledgers of what is done.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import httpx

from loadtests.replay import protocol
from loadtests.replay.accounts import Accounts, Credentials
from loadtests.replay.connection import Connection, Handler
from loadtests.replay.journeys import Journey, Journeys
from loadtests.replay.ledger import Ledger
from loadtests.replay.names import full_name_of
from loadtests.replay.options import Options
from loadtests.replay.protocol import Refused
from loadtests.replay.rider import Pace, Ride
from loadtests.replay.watcher import Watcher

_ENDLESS_PREFIX = "demo-rider-"
_PARALLEL_REQUESTS = 4


@dataclass(slots=True)
class Totals:
    """What endless riders have done with the tracks that are over."""

    tracks: int = 0
    acknowledged: int = 0


@dataclass(slots=True)
class Fleet:
    """The riders of one run. `note` is told what a person should know at once."""

    options: Options
    journeys: Journeys
    note: Callable[[str], None]
    ledgers: list[Ledger] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    connections: list[Connection] = field(default_factory=list)
    riding: int = 0

    @property
    def reconnects(self) -> int:
        """How often sockets were opened again."""
        return sum(max(0, connection.connects - 1) for connection in self.connections)

    @property
    def connected(self) -> int:
        """How many sockets are open and signed in."""
        return sum(connection.ready is not None for connection in self.connections)

    async def ride(self) -> None:
        """Ride all journeys. Raises SignInFailed (in a group) when an account is refused for good."""
        logging.getLogger("engineio.client").setLevel(logging.CRITICAL)  # reconnecting is our business
        logging.getLogger("socketio.client").setLevel(logging.CRITICAL)
        limits = httpx.Limits(max_connections=_PARALLEL_REQUESTS)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(30, pool=None)) as rest,
            aiohttp.ClientSession(connector=connector) as sockets,
            asyncio.TaskGroup() as group,
        ):
            await self._ride_with(rest, sockets, group)

    async def _ride_with(
        self, rest: httpx.AsyncClient, sockets: aiohttp.ClientSession, group: asyncio.TaskGroup
    ) -> None:
        staying: list[asyncio.Task[None]] = []
        riders: list[asyncio.Task[None]] = []
        watched = self.options.watchers_for(self.journeys.riders)
        prefix = self._prefix()

        def connect(name: str, node: int, handlers: dict[str, Handler]) -> Connection:
            url = self.options.urls[node % len(self.options.urls)]
            accounts = Accounts(rest, url, known=self._reuses_accounts)
            full_name = full_name_of(name) if self._reuses_accounts else None
            credentials = Credentials(f"{prefix}{name}", self.options.password, f"replay-{name}", full_name)
            connection = Connection(url, accounts, credentials, sockets, handlers)
            self.connections.append(connection)
            staying.append(group.create_task(connection.run(), name=f"socket:{name}"))
            return connection

        for index in range(self.journeys.riders):
            pace = Pace()
            rider = connect(str(index + 1), index, pace.handlers())
            watcher = self._watcher(index, connect) if index < watched else None
            riders.append(group.create_task(self._ride_on(index, rider, pace, watcher), name=f"rider:{index + 1}"))
        try:
            await asyncio.wait(riders)
        finally:
            for task in staying:
                task.cancel()

    def _watcher(self, index: int, connect: Callable[[str, int, dict[str, Any]], Connection]) -> Watcher:
        watcher = Watcher()
        watcher.attach(connect(f"watcher-{index + 1}", index + 1, watcher.handlers()))
        return watcher

    async def _ride_on(self, index: int, connection: Connection, pace: Pace, watcher: Watcher | None) -> None:
        """One rider's journeys, one after another."""
        await connection.wait_ready()
        await connection.ask(protocol.SHARING_SET, {"audience": "public"})
        if watcher is not None:
            await watcher.wait_connected()
        self.riding += 1
        try:
            for journey in self.journeys.of_rider(index):
                await self._ride_one(index, journey, connection, pace, watcher)
        finally:
            self.riding -= 1

    async def _ride_one(
        self, index: int, journey: Journey, connection: Connection, pace: Pace, watcher: Watcher | None
    ) -> None:
        ledger = Ledger(journey.track, new_track_id(), f"rider {index + 1}")
        self.ledgers.append(ledger)
        ride = Ride(connection, ledger, journey.plan, pace, watcher)
        try:
            await ride.run()
        except Refused as refusal:
            ledger.error = str(refusal)
            self.note(f"{ledger.rider_name}, {ledger.track.name}: {refusal}")
        if self.options.forever:
            self.totals.tracks += 1
            self.totals.acknowledged += ledger.acknowledged_count
            with suppress(ValueError):
                self.ledgers.remove(ledger)

    @property
    def _reuses_accounts(self) -> bool:
        return self.options.forever or self.options.account_prefix is not None

    def _prefix(self) -> str:
        if self.options.account_prefix is not None:
            return self.options.account_prefix
        return _ENDLESS_PREFIX if self.options.forever else f"replay-{os.urandom(4).hex()}-"


def new_track_id() -> UUID:
    """A UUIDv7 (RFC 9562), as a phone makes one."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds & (1 << 48) - 1) << 16 | 0x7000 | random >> 68
    return UUID(int=high << 64 | 0b10 << 62 | random & (1 << 62) - 1)
