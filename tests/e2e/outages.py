"""What tests of outages need: servers that can be disturbed, and a phone that sends every fix until it is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
from socketio.exceptions import BadNamespaceError

from domain.kit.clock import SystemClock
from domain.kit.tasks import TaskOwner
from server.stack import PostgresServer, PrivateServer, RedisServer
from tests.e2e.phones import Account, Phone, around, fix, new_id, now_ms, register
from tests.e2e.processes import Node, Site, Worker
from tests.support import eventually

FAULTS = ("kill", "pause", "refuse")
REDIS_SECONDS = 2.0
"""Long enough that a busy machine is not taken for a Redis that is gone."""
IMPATIENT = {
    # What paused servers and killed workers cost are these, again and again.
    "THROTTLECOVE_REDIS_TIMEOUT_SECONDS": str(REDIS_SECONDS),
    "THROTTLECOVE_DATABASE_CONNECT_TIMEOUT_SECONDS": "1",
    "THROTTLECOVE_WORKER_CLAIM_IDLE_SECONDS": "3",
}
ANSWER_SECONDS = 30.0
"""Whatever is away, every event is answered: after two of the timeouts above at the most, and ten times as long where
the machine is busy."""
BACK_SECONDS = 30.0
"""Of what takes two ticks and the time in which a node notices that a server is back: some 3 s, ten times over. How
soon riders are right again is measured by `make stress`."""
HERE = (46.5, 8.3)
_NORTH = 4e-5
"""Degrees from one fix to the next: some 80 km/h."""
_EVERY_SECONDS = 0.2
_MOST_AT_ONCE = 500


class RidingPhone:
    """Rides north and sends a fix every 200 ms; what is not acknowledged is sent again in batches, as it was."""

    def __init__(self, account: Account, tasks: TaskOwner) -> None:
        self.account = account
        self.track = str(new_id())
        self.phone = Phone(account)
        self.sent: list[dict[str, Any]] = []
        self.acked: set[int] = set()
        self.refused: list[dict[str, Any]] = []
        """Error answers, as they came."""
        self.slowest_seconds = 0.0
        self.unanswered: list[int] = []
        """Fixes without an answer in time on a connection that was open."""
        self._tasks = tasks
        self._waiting: set[int] = set()
        self._under_way = 0
        self._arrived = False
        self._clock = SystemClock()
        self._retry_seconds = 0.2

    @property
    def newest(self) -> int:
        """The number of the fix sent last."""
        return len(self.sent) - 1

    def acked_after(self, seq: int) -> int:
        """How many of the later fixes are acknowledged."""
        return sum(number > seq for number in self.acked)

    async def connect(self, url: str) -> None:
        """Hang up, if need be, and connect to the node with this address; what was under way is sent again."""
        await self.hang_up()
        self.phone = Phone(self.account)
        await self.phone.connect(url)

    async def hang_up(self) -> None:
        if self.phone.client.connected:
            await self.phone.disconnect()

    async def begin(self) -> None:
        """Start the track, share it and ride."""
        await self.phone.share("public")
        await self.start_track()
        self.ride()

    async def start_track(self) -> None:
        answer = await self.phone.ask("track:start", {"track_id": self.track, "started_at": now_ms()})
        assert answer.get("rider") == self.account.rider, answer

    def ride(self) -> None:
        """Send fixes from now on."""
        self._tasks.start(self._send_fixes(), "ride")
        self._tasks.start(self._send_again(), "send again")

    async def finish(self) -> None:
        """Ride no more; wait until everything is acknowledged, and stop the track."""
        self._arrived = True
        await eventually(lambda: len(self.acked) == len(self.sent) and not self._under_way, timeout=60)
        last = {"track_id": self.track, "last_seq": self.newest}

        async def stopped() -> bool:
            return await self.phone.ask("track:stop", last) == {}

        await eventually(stopped, timeout=40)
        assert self.unanswered == []
        assert self.slowest_seconds < ANSWER_SECONDS
        assert {error["code"] for error in self.refused} <= {"unavailable"}
        assert all(error["retry_after_ms"] > 0 for error in self.refused)

    async def _send_fixes(self) -> None:
        while not self._arrived:
            seq = len(self.sent)
            self.sent.append(fix(seq, round(HERE[0] + seq * _NORTH, 5), HERE[1], speed=22.2, heading=0.0))
            update = {"track_id": self.track, "fix": self.sent[seq]}
            self._tasks.start(self._deliver("location:update", update, {seq}), "update")
            await self._clock.sleep(_EVERY_SECONDS)

    async def _send_again(self) -> None:
        while len(self.acked) < len(self.sent) or not self._arrived:
            numbers = set(sorted(self._waiting)[:_MOST_AT_ONCE])
            if numbers:
                self._waiting -= numbers
                fixes = [self.sent[seq] for seq in sorted(numbers)]
                await self._deliver("location:batch", {"track_id": self.track, "fixes": fixes}, numbers)
            await self._clock.sleep(self._retry_seconds)

    async def _deliver(self, event: str, payload: dict[str, Any], numbers: set[int]) -> None:
        began, connection = asyncio.get_running_loop().time(), self.phone
        self._under_way += 1
        try:
            answer = await self._answer(connection, event, payload)
        finally:
            self._under_way -= 1
        if answer is not None and "error" not in answer:
            self.acked |= numbers
            self._retry_seconds = 0.2
        else:
            self._waiting |= numbers
        if answer is None:
            if connection.client.connected:
                self.unanswered.extend(numbers)
            return
        self.slowest_seconds = max(self.slowest_seconds, asyncio.get_running_loop().time() - began)
        if "error" in answer:
            self.refused.append(answer["error"])
            self._retry_seconds = answer["error"].get("retry_after_ms", 1000) / 1000

    @staticmethod
    async def _answer(connection: Phone, event: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """The ack, or None when the connection ended before it, or it did not come in time."""
        try:
            answer = await connection.tell(event, payload)
        except BadNamespaceError:
            return None
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS

        def over() -> bool:
            late = asyncio.get_running_loop().time() > deadline
            return answer.done() or late or not connection.client.connected

        await eventually(over, timeout=ANSWER_SECONDS + 1)
        return answer.result() if answer.done() else None


@asynccontextmanager
async def riding(node: Node, account: Account | None = None) -> AsyncIterator[RidingPhone]:
    """A public rider under way on this node."""
    account = account or await register(node.url)
    async with TaskOwner("rider") as tasks:
        rider = RidingPhone(account, tasks)
        try:
            await rider.connect(node.url)
            await rider.begin()
            yield rider
        finally:
            await rider.hang_up()


@asynccontextmanager
async def watching(node: Node, account: Account | None = None) -> AsyncIterator[Phone]:
    """A phone on this node that watches where everybody rides."""
    watcher = Phone(account or await register(node.url))
    try:
        await watcher.connect(node.url)
        watched = await watcher.ask("map:watch", around(*HERE, 0.03))
        assert "cells" in watched, watched
        yield watcher
    finally:
        await watcher.disconnect()


def seen(watcher: Phone, rider: RidingPhone) -> int:
    """The number of the fix at which this watcher sees the rider; -1 when it does not."""
    place = watcher.sees(rider.account.rider)
    return -1 if place is None else round((place[0] - HERE[0]) / _NORTH)


async def seen_moving(watcher: Phone, rider: RidingPhone, *, timeout: float = ANSWER_SECONDS) -> None:
    """The watcher sees the rider at a place that the phone has not sent yet."""
    now = rider.newest
    await eventually(lambda: seen(watcher, rider) > now, timeout=timeout)


@dataclass
class Ground:
    """Two nodes and a worker, on a Postgres and a Redis that may be disturbed."""

    site: Site
    postgres: PostgresServer
    redis: RedisServer
    one: Node
    two: Node
    worker: Worker

    async def heal(self) -> None:
        """Bring back what is away, and wait until every check says so."""
        for server in (self.postgres, self.redis):
            await asyncio.to_thread(server.start)
        for process in (self.one, self.two, self.worker):
            process.resume()
            if not process.runs:
                process.start()
        for node in (self.one, self.two):
            await node.ready()
        for node in (self.one, self.two):
            await eventually(lambda node=node: is_healthy(node), timeout=40)


@asynccontextmanager
async def turned_away(server: PostgresServer) -> AsyncIterator[None]:
    """Postgres is up and lets nobody in, as while an operator restores the database."""

    async def tell(*statements: str) -> None:
        for statement in statements:
            await asyncio.to_thread(server.run_sql, statement, database="postgres")

    name = urlsplit(server.url).path.strip("/")
    sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
    await tell(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", f"{sessions}'{name}'")
    try:
        yield
    finally:
        await tell(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@asynccontextmanager
async def outage(fault: str, *servers: PrivateServer) -> AsyncIterator[None]:
    """These servers are killed, paused or refusing, and come back at the end."""
    async with AsyncExitStack() as back:
        for server in servers:
            back.push_async_callback(asyncio.to_thread, server.start)
            await asyncio.to_thread(getattr(server, fault))
        yield


async def readiness(node: Node) -> tuple[int, dict[str, str]]:
    """The status of /ready, and that of each check."""
    async with httpx.AsyncClient(base_url=node.url, timeout=ANSWER_SECONDS) as client:
        answer = await client.get("/ready")
    return answer.status_code, {name: check["status"] for name, check in answer.json()["checks"].items()}


async def is_healthy(node: Node) -> bool:
    status, checks = await readiness(node)
    return status == 200 and set(checks.values()) == {"healthy"}


async def says(node: Node, status: int, **checks: str) -> None:
    """`/ready` answers with this status and these checks, soon."""

    async def agrees() -> bool:
        actual, found = await readiness(node)
        assert (actual, found) == (status, {**found, **checks})
        return True

    await eventually(agrees, timeout=BACK_SECONDS)


async def assert_kept_once(database_url: str, rider: RidingPhone, *, timeout: float = 60) -> None:
    """Every fix that was sent and acknowledged is stored as it was sent, and nothing else is."""
    database = await asyncpg.connect(database_url)
    try:
        finished = "SELECT finished_at FROM tracks WHERE id = $1 AND NOT recompute"
        await eventually(lambda: database.fetchval(finished, rider.track), timeout=timeout)
        query = "SELECT seq, timestamp, latitude, longitude FROM track_points WHERE track_id = $1 ORDER BY seq"
        points = await database.fetch(query, rider.track)
        stored = await database.fetchval("SELECT stored FROM tracks WHERE id = $1", rider.track)
    finally:
        await database.close()
    expected = [(one["seq"], one["timestamp"], one["latitude"], one["longitude"]) for one in rider.sent]
    actual = [
        (point["seq"], round(point["timestamp"].timestamp() * 1000), point["latitude"], point["longitude"])
        for point in points
    ]
    assert rider.acked == set(range(len(rider.sent)))
    assert actual == expected
    assert stored == len(expected)
