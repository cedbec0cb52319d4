"""Riders: each sends a fix some times a second, changes nodes now and then, and sends again what was not acknowledged.

A rider hangs up where an answer is overdue or the connection is lost, and goes on with another node, as phones do.
Some fall silent for longer than a position lives: nobody may see them then.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from domain.kit.ids import uuid7
from loadtests.stress.link import ConnectionLost, Link, error_of
from loadtests.stress.people import Person
from loadtests.stress.ride import Fix, Place, Ride
from loadtests.stress.system import Node

EVERY_SECONDS = 0.25
SELDOM_SECONDS = 7.0
"""Between two fixes of a rider who stands for those that nobody watches: what is missed is not soon said again."""
OVERDUE_SECONDS = 6.5
"""Whatever is away, an event is answered within this; a node that does not is given up."""
_STEP = (5, 1)
"""From one fix to the next, in units of 1e-5 degrees: some 80 km/h."""
_MOST_IN_A_BATCH = 500
_LOOK_SECONDS = 0.05
_STAYS_SECONDS = (6.0, 12.0)
_HANGS_SECONDS = 3.0
_LONGER_SECONDS = 5.0
"""Than a position lives: for so long some fall silent."""


class Rider:
    """One phone that rides. `run` until cancelled, then `finish`."""

    def __init__(
        self,
        person: Person,
        nodes: Sequence[Node],
        start: Place,
        random: Random,
        *,
        every_seconds: float,
        silent_seconds: float | None,
        moved: Callable[[Ride], None],
    ) -> None:
        """`every_seconds`: between two fixes; `silent_seconds`: how long a position lives, if silence is to be longer.

        `moved` is called when it has connected again, before it sends.
        """
        self.ride = Ride(person.rider, uuid7(time.time_ns() // 1_000_000))
        self.errors: list[dict[str, Any]] = []
        """Refusals, as they came."""
        self.overdue = 0
        """How often an answer did not come in time."""
        self.connects = 0
        self._person = person
        self._nodes = nodes
        self._start = start
        self._every_seconds = every_seconds
        self.ride.speaks_often = every_seconds <= EVERY_SECONDS
        self._random = random
        self._silences = [random.uniform(8.0, 20.0)] if silent_seconds else []
        self._silent_seconds = silent_seconds or 0.0
        self._moved = moved
        self._link: Link | None = None
        self._hanging: list[tuple[float, Link]] = []
        self._next_fix = 0.0
        self._node = random.randrange(len(nodes))
        self._leaves_at = 0.0
        self._batch_under_way = False
        self._retry_at = 0.0
        self._is_known = False
        """Whether the node that there is a connection to has taken a fix of the track."""
        self._began = time.monotonic()

    async def begin(self) -> None:
        """Connect, share with the public, and start the track; for before the faults. Raises ConnectionLost."""
        await self._connect()
        await self._asked("sharing:set", {"audience": "public"})
        track = {"track_id": str(self.ride.track_id), "started_at": time.time_ns() // 1_000_000}
        await self._asked("track:start", track)
        self._began = time.monotonic()

    async def run(self) -> None:
        """Ride until cancelled."""
        self._next_fix = time.monotonic() + self._random.uniform(0.0, self._every_seconds)
        try:
            while True:
                await self._fall_silent()
                await self._stay_connected()
                if time.monotonic() >= self._next_fix:
                    self._next_fix = max(self._next_fix, time.monotonic() - _LOOK_SECONDS) + self._every_seconds
                    self._send_fix()
                self._send_again()
                await self._let_go(older_than=_HANGS_SECONDS)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self._let_go(older_than=0.0)

    async def finish(self, seconds: float) -> bool:
        """Send what is not acknowledged and stop the track; whether that succeeded in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self._stay_connected()
            self._send_again()
            if not self.ride.waiting and not self.ride.unanswered and await self._stopped():
                return True
            await asyncio.sleep(0.1)
        return False

    async def leave(self) -> None:
        """Hang up."""
        await self._hang_up()
        await self._let_go(older_than=0.0)

    async def _stopped(self) -> bool:
        last = {"track_id": str(self.ride.track_id), "last_seq": len(self.ride.fixes) - 1}
        try:
            if self._link is None or error_of(await self._link.ask("track:stop", last, seconds=OVERDUE_SECONDS)):
                return False
        except ConnectionLost:
            return False
        self.ride.hidden_at = time.monotonic()
        return True

    # Connections

    async def _stay_connected(self) -> None:
        now = time.monotonic()
        if self._link is not None and self._is_overdue(now):
            self.overdue += 1
            await self._hang_up(cut=True)
            self._node = self._another()
        elif self._link is not None and self._link.is_open and now >= self._leaves_at > 0 and not self.ride.hidden_at:
            await self._move()
        if self._link is None or not self._link.is_open:
            await self._hang_up(cut=True)
            await self._connect_somewhere()

    async def _connect_somewhere(self) -> None:
        try:
            await self._connect()
        except ConnectionLost:
            self._node = self._another()

    async def _connect(self) -> None:
        node = self._nodes[self._node]
        link = await self._person.connect(node, lambda event, payload: None)
        self._link = link
        self.connects += 1
        now = time.monotonic()
        self.ride.node, self.ride.linked_at = self._node, now
        self._leaves_at = now + self._random.uniform(*_STAYS_SECONDS)
        self._batch_under_way = self._is_known = False
        self._retry_at = 0.0
        self._moved(self.ride)

    async def _move(self) -> None:
        """Go to another node; now and then the old connection hangs on for a while."""
        if self._link is not None and self._random.random() < 0.4:
            self._hanging.append((time.monotonic(), self._link))
            self._link = None
        await self._hang_up(cut=self._random.random() < 0.5)
        self._node = self._another()

    async def _hang_up(self, *, cut: bool = False) -> None:
        link, self._link = self._link, None
        self.ride.node = None
        self.ride.waiting |= self.ride.unanswered
        self.ride.unanswered.clear()
        if link is None:
            return
        if cut:
            link.cut()
        await link.close()

    async def _let_go(self, *, older_than: float) -> None:
        """Of connections that hang on, those that have done so for long."""
        limit = time.monotonic() - older_than
        for hung_at, link in list(self._hanging):
            if hung_at <= limit:
                self._hanging.remove((hung_at, link))
                link.cut()
                await link.close()

    async def _fall_silent(self) -> None:
        if not self._silences or time.monotonic() - self._began < self._silences[0]:
            return
        self._silences.pop(0)
        await self._hang_up()
        await asyncio.sleep(self._silent_seconds + _LONGER_SECONDS)
        self._next_fix = time.monotonic()

    def _another(self) -> int:
        others = [node.number for node in self._nodes if node.number != self._node]
        return self._random.choice(others) if others else self._node

    def _is_overdue(self, now: float) -> bool:
        oldest = min(self.ride.unanswered, default=None)
        if oldest is None:
            return False
        sent_at = self.ride.fixes[oldest].sent_at
        return sent_at is not None and now - max(sent_at, self.ride.linked_at) > OVERDUE_SECONDS

    async def _asked(self, event: str, payload: dict[str, Any]) -> None:
        if self._link is None:
            raise ConnectionLost(event)
        error = error_of(await self._link.ask(event, payload))
        if error is not None:
            raise ConnectionLost(f"{event}: {error}")

    # Fixes

    def _send_fix(self) -> None:
        fix = self.ride.add(self._place_now(), time.time_ns() // 1_000_000)
        if self._link is None or not self._link.is_open:
            self.ride.waiting.add(fix.seq)
            return
        fix.sent_at, fix.node = time.monotonic(), self.ride.node
        self.ride.heard_by = fix.sent_at
        self._tell("location:update", {"fix": fix.payload()}, [fix], live=True)

    def _place_now(self) -> Place:
        """Where one is by now at a steady speed, however long nothing was sent; a new place every time."""
        steps = round((time.monotonic() - self._began) / EVERY_SECONDS * 10)
        place = (self._start[0] + steps * _STEP[0] // 10, self._start[1] + steps * _STEP[1] // 10)
        while place in self.ride.seq_at:
            place = (place[0] + 1, place[1])
        return place

    def _send_again(self) -> None:
        numbers = sorted(self.ride.waiting)[:_MOST_IN_A_BATCH]
        ready = self._link is not None and self._link.is_open and not self._batch_under_way
        if not numbers or not ready or time.monotonic() < self._retry_at:
            return
        self.ride.waiting -= set(numbers)
        fixes = [self.ride.fixes[seq] for seq in numbers]
        self._batch_under_way = True
        self._tell("location:batch", {"fixes": [fix.payload() for fix in fixes]}, fixes, live=False)

    def _tell(self, event: str, payload: dict[str, Any], fixes: list[Fix], *, live: bool) -> None:
        link = self._link
        if link is None:
            raise LookupError("not connected")
        self.ride.unanswered |= {fix.seq for fix in fixes}
        message = {"track_id": str(self.ride.track_id), **payload}
        try:
            link.tell(event, message, lambda body: self._answered(link, body, fixes, live=live))
        except ConnectionLost:
            self.ride.unanswered -= {fix.seq for fix in fixes}
            self.ride.waiting |= {fix.seq for fix in fixes}

    def _answered(self, link: Link, body: dict[str, Any], fixes: list[Fix], *, live: bool) -> None:
        error = error_of(body)
        numbers = {fix.seq for fix in fixes}
        for fix in fixes:
            fix.kept = fix.kept or error is None
            if live:
                fix.answered_live = True
                self._is_known |= error is None and link is self._link
                # Whose track it is cannot be known while Redis is away, unless it was known to the node before.
                fix.shown = error is None or (error["code"] == "unavailable" and self._is_known and link is self._link)
        if link is self._link:
            self.ride.unanswered -= numbers
            if not live:
                self._batch_under_way = False
        if live:
            self.ride.heard_by = max(self.ride.heard_by, time.monotonic())
        if error is None:
            self.ride.waiting -= numbers
            return
        self.errors.append(error)
        self.ride.waiting |= {fix.seq for fix in fixes if not fix.kept}
        self._retry_at = time.monotonic() + error.get("retry_after_ms", 1000) / 1000


@asynccontextmanager
async def leaving(riders: Sequence[Rider]) -> AsyncIterator[None]:
    """All hang up at the end."""
    try:
        yield
    finally:
        await asyncio.gather(*(rider.leave() for rider in riders))
