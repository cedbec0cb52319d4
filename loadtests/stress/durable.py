"""Durable streams: writers append, devices follow, are cut off, resume; nobody may lack an event or have it twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from random import Random
from typing import Any

from domain.kit.errors import Unavailable
from loadtests.stress.devices import Device
from loadtests.stress.faults import Happened
from loadtests.stress.figures import Seconds
from loadtests.stress.paths import SILENCE_SECONDS, SLACK_SECONDS
from loadtests.stress.people import Person
from loadtests.stress.schedule import Kind
from loadtests.stress.tamper import Sabotage, Tamper
from loadtests.stress.traffic import Run
from loadtests.stress.writers import Writers, everything, streams_of

FOLLOWED = 4
"""Riders whose streams are written to."""
DEVICES_EACH = 2
_WRITERS = 3
LATE_SECONDS = 1.0 + SILENCE_SECONDS + SLACK_SECONDS
"""Without a hint a node finds an event by its comparison once a second; a commit may wait for a lock or a disk."""
_LEVEL_SECONDS = 20.0
"""How long the last events may take once everything is well."""
_QUIET_SECONDS = 1.0
"""What was asked for last is kept within this, if it is kept at all."""
_LOOK_SECONDS = 0.1
_DELAYING = frozenset({Kind.POSTGRES_RESTARTED, Kind.NODE_PAUSED, Kind.NODE_KILLED, Kind.NODE_STOPPED})
"""What keeps a node from knowing, or from telling."""


class Durable:
    """The traffic of streams."""

    name = "durable"

    def __init__(self, run: Run, people: list[Person], sabotage: Sabotage | None) -> None:
        self._run = run
        self._devices = [
            Device(
                person,
                run.system.nodes,
                Random(f"{run.seed} device {number} {index}"),
                run.wrong,
                heard=self._judge_age,
                shares=index == 0,
                tamper=Tamper(sabotage) if number == index == 0 else None,
            )
            for number, person in enumerate(people)
            for index in range(DEVICES_EACH)
        ]
        self._names = [f"user:{person.user_id}" for person in people]
        self._end = AsyncExitStack()
        self._following: list[asyncio.Task[None]] = []
        self._writing: list[asyncio.Future[None]] = []
        self._events = 0

    async def begin(self) -> None:
        """Every device is connected and has its place in its stream."""
        self._streams = await self._end.enter_async_context(streams_of(self._run.system))
        self._writers = Writers(self._streams, self._names, self._run.seed, _WRITERS)
        self._following = [asyncio.ensure_future(device.run()) for device in self._devices]
        await _until(lambda: all(device.follower.position for device in self._devices), _LEVEL_SECONDS)

    def work(self) -> Iterable[Awaitable[None]]:
        """Writers write; the devices follow from the beginning to the end."""
        return self._writers.work()

    def in_flight(self) -> int:
        """Events that are being written, and those that somebody who follows has not got yet."""
        behind = 0
        for device in self._devices:
            kept, position = self._writers.kept[device.follower.stream], device.follower.position
            newest = max(kept, default=0)
            behind += max(0, newest - (position.seq if position else 0))
        return self._writers.under_way + behind + sum(device.under_way for device in self._devices)

    def healed(self, happened: Happened) -> None:
        """Nothing is measured from here."""

    async def settle(self) -> None:
        """Have everybody get the last events, and compare with what Postgres has."""
        for device, task in zip(self._devices, self._following, strict=True):
            device.roams = False
            if task.done():
                task.result()
        truth = await self._quiet_truth()
        self._events = sum(map(len, truth.values()))
        await _until(lambda: all(_is_level(device, truth) for device in self._devices), _LEVEL_SECONDS)
        for name, events in truth.items():
            self._compare(name, events)
        for device in self._devices:
            for fault in device.follower.missing(truth[device.follower.stream]):
                self._run.wrong(fault)

    async def leave(self) -> None:
        """Everybody hangs up."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._end.aclose()

    def figures(self) -> dict[str, Any]:
        """For the report."""
        errors: dict[str, int] = {}
        for device in self._devices:
            for code, count in device.errors.items():
                errors[code] = errors.get(code, 0) + count
        return {
            "streams": len(self._names),
            "devices": len(self._devices),
            "events": self._events,
            "written": sum(map(len, self._writers.kept.values())),
            "writes_not_known": self._writers.unknown,
            "changes_acknowledged": sum(len(device.kept) for device in self._devices),
            "received": sum(len(device.follower.received) for device in self._devices),
            "connects": sum(device.connects for device in self._devices),
            "resumes": sum(device.resumes for device in self._devices),
            "events_recovered": sum(device.recovered_events for device in self._devices),
            "refused": errors,
            "write_seconds": self._writers.seconds.summary(),
            "heard_seconds": Seconds.of(device.heard_seconds for device in self._devices).summary(),
            "resume_seconds": Seconds.of(device.resume_seconds for device in self._devices).summary(),
        }

    def _judge_age(self, node: int, age: float) -> None:
        """An event came by itself: not later than a node needs that has to find it by itself, whatever Redis does."""
        bound = LATE_SECONDS + self._run.lag()
        if age <= bound:
            return
        since = time.monotonic() - age
        for happened in self._run.timeline.of(_DELAYING, node):
            if happened.healed is None or happened.healed + SILENCE_SECONDS >= since:
                return
        if self._was_committed_late(since):
            return
        self._run.wrong(f"an event came {age:.1f} s after it was written, on node {node + 1} that could know of it")

    def _was_committed_late(self, since: float) -> bool:
        """Whether another node may have stood still in the middle of writing it: its time is from before that."""
        return any(
            happened.fault.kind is Kind.NODE_PAUSED
            and since - self._run.lag() <= happened.began <= since + SILENCE_SECONDS
            for happened in self._run.timeline.happened
        )

    async def _quiet_truth(self) -> dict[str, dict[int, object]]:
        """What Postgres has when nothing is added any more: a last change of sharing may be under way."""
        deadline = time.monotonic() + _LEVEL_SECONDS
        truth = await self._truth()
        while True:
            await asyncio.sleep(_QUIET_SECONDS)
            before, truth = truth, await self._truth()
            is_quiet = truth == before and not any(device.under_way for device in self._devices)
            if is_quiet or time.monotonic() > deadline:
                return truth

    async def _truth(self) -> dict[str, dict[int, object]]:
        deadline = time.monotonic() + _LEVEL_SECONDS
        while True:
            try:
                return {name: await everything(self._streams, name) for name in self._names}
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)

    def _compare(self, name: str, events: dict[int, object]) -> None:
        """What Postgres has of a stream, with what was acknowledged to those who wrote."""
        if sorted(events) != list(range(1, len(events) + 1)):
            self._run.wrong(f"{name} has holes: {len(events)} events up to {max(events, default=0)}")
        lost = [seq for seq, note in self._writers.kept[name].items() if events.get(seq) != note]
        if lost:
            self._run.wrong(f"{name}: {lost[:10]} were acknowledged with other events than are kept")
        values = list(events.values())
        if len(set(values)) < len(values):
            self._run.wrong(f"{name} has {len(values) - len(set(values))} events twice")
        for device in self._devices:
            if device.follower.stream == name and (lost_changes := device.kept - set(values)):
                self._run.wrong(f"{name}: {len(lost_changes)} acknowledged changes of sharing are not in it")


def _is_level(device: Device, truth: dict[str, dict[int, object]]) -> bool:
    position = device.follower.position
    return position is not None and position.seq >= max(truth[device.follower.stream], default=0)


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait, at most so long: what does not hold then shows by itself."""
    deadline = time.monotonic() + seconds
    while True:
        if holds() or time.monotonic() > deadline:
            return
        await asyncio.sleep(_LOOK_SECONDS)
