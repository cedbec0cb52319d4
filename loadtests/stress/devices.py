"""Devices that follow their rider's durable stream: they are cut off and come back, to any node, and resume."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from loadtests.stress.continuity import Follower
from loadtests.stress.figures import Seconds
from loadtests.stress.link import ConnectionLost, Link, error_of
from loadtests.stress.people import Person
from loadtests.stress.riders import OVERDUE_SECONDS
from loadtests.stress.system import Node
from loadtests.stress.tamper import Tamper

_STAYS_SECONDS = (3.0, 9.0)
_AWAY_SECONDS = (0.0, 2.0)
_AGAIN_SECONDS = 0.3
_PROBE_SECONDS = 1.5
_HOUR_MS = 3_600_000


class Device:
    """One device. `run` until cancelled; with `sharing` it changes the rider's sharing all the time."""

    def __init__(
        self,
        person: Person,
        nodes: Sequence[Node],
        random: Random,
        wrong: Callable[[str], None],
        *,
        heard: Callable[[int, float], None],
        shares: bool = False,
        tamper: Tamper | None = None,
    ) -> None:
        """`heard` is told, for each event that comes by itself, the node and how many seconds the event is old."""
        self.follower = Follower(f"user:{person.user_id}")
        self.kept: set[int] = set()
        """The changes of sharing that were acknowledged, by their end."""
        self.connects = 0
        self.resumes = 0
        self.recovered_events = 0
        self.resume_seconds = Seconds()
        self.heard_seconds = Seconds()
        """From the server's clock on an event until it was here, for those that came by themselves."""
        self.errors: dict[str, int] = {}
        self.roams = True
        self._person = person
        self._nodes = nodes
        self._random = random
        self._wrong = wrong
        self._on_heard = heard
        self._shares = shares
        self._tamper = tamper or Tamper(None)
        self._changes = itertools.count(1)
        self._asked: set[int] = set()
        """The changes of sharing that were asked for on this connection and not answered."""
        self._node = random.randrange(len(nodes))

    @property
    def under_way(self) -> int:
        """Changes of sharing that may still be answered."""
        return len(self._asked)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._stay()
            except ConnectionLost:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                await asyncio.sleep(self._random.uniform(*_AWAY_SECONDS))
            self._node = self._random.randrange(len(self._nodes))

    async def _stay(self) -> None:
        """One connection, until it is time to go. Raises ConnectionLost."""
        self.follower.connected()
        connection = object()
        link = await self._person.connect(
            self._nodes[self._node], lambda event, payload: self._hear(connection, event, payload)
        )
        try:
            async with link:
                self.connects += 1
                await self._serve(link)
                if self._random.random() < 0.6:
                    link.cut()
        finally:
            self._asked.clear()  # whether these are kept nobody will say

    async def _serve(self, link: Link) -> None:
        leaves_at = time.monotonic() + self._random.uniform(*_STAYS_SECONDS)
        probe_at = 0.0
        asked_at: list[float] = []
        while link.is_open and (time.monotonic() < leaves_at or not self.roams):
            if self.follower.resuming:
                await self._resume(link)
            now = time.monotonic()
            if asked_at and now - asked_at[0] > OVERDUE_SECONDS:
                raise ConnectionLost("no answer")
            if now >= probe_at and not asked_at:
                probe_at = now + _PROBE_SECONDS
                asked_at.append(now)
                link.tell("map:unwatch", {}, lambda body: asked_at.clear())
                if self._shares and self.roams:
                    self._share(link)
            await asyncio.sleep(0.1)
        if not link.is_open:
            raise ConnectionLost("ended")

    def _hear(self, connection: object, event: str, payload: dict[str, Any]) -> None:
        if event in {"session:ready", "session:streams"}:
            self._begin(payload["streams"])
        elif payload.get("stream") == self.follower.stream:
            age = max(0.0, time.time() - payload["sent_at"] / 1000)
            self.heard_seconds.add(age)
            self._on_heard(self._node, age)
            for given in self._tamper.through(connection, payload):
                self._complain(self.follower.event(given))

    def _begin(self, heads: Mapping[str, Mapping[str, Any]]) -> None:
        head = heads.get(self.follower.stream)
        if head is not None:
            self.follower.begins(str(head["epoch"]), int(head["head"]))

    async def _resume(self, link: Link) -> None:
        position = self.follower.position
        if position is None:
            return
        began = time.monotonic()
        wanted = {"streams": {self.follower.stream: {"epoch": position.epoch, "seq": position.seq}}}
        answered = asyncio.Event()

        def resumed(body: dict[str, Any]) -> None:
            answered.set()
            if error := error_of(body):
                self.errors[error["code"]] = self.errors.get(error["code"], 0) + 1
                return
            answer = body["streams"][self.follower.stream]
            self.resumes += 1
            self.recovered_events += len(answer.get("events") or ())
            self.resume_seconds.add(time.monotonic() - began)
            self._complain(self.follower.resumed(answer))

        link.tell("session:resume", wanted, resumed)
        while not answered.is_set():
            if not link.is_open or time.monotonic() - began > OVERDUE_SECONDS:
                raise ConnectionLost("no answer to session:resume")
            await asyncio.sleep(0.01)
        if self.follower.resuming:
            await asyncio.sleep(1.0)  # refused: unavailable, or too often

    def _share(self, link: Link) -> None:
        end = int(time.time() * 1000) + _HOUR_MS + next(self._changes)
        self._asked.add(end)

        def answered(body: dict[str, Any]) -> None:
            self._asked.discard(end)
            if error := error_of(body):
                self.errors[error["code"]] = self.errors.get(error["code"], 0) + 1
            else:
                self.kept.add(end)

        link.tell("sharing:set", {"audience": "followers", "expires_at": end}, answered)

    def _complain(self, faults: list[str]) -> None:
        for fault in faults:
            self._wrong(f"a device of rider {self._person.rider}: {fault}")
