"""Live positions and recorded fixes: riders who change nodes, watchers on every node, and what must hold of both.

While the way is clear, and again after each healing, every watcher sees every rider within two ticks and a stated
slack; nobody is seen for longer than a position lives; every acknowledged fix is in PostGIS once.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from random import Random
from typing import Any

from loadtests.stress import recorded
from loadtests.stress.faults import Happened
from loadtests.stress.figures import Seconds
from loadtests.stress.paths import SLACK_SECONDS, TICK_SECONDS, TWO_TICKS_SECONDS, Path
from loadtests.stress.people import Person
from loadtests.stress.places import starts_at_a_border
from loadtests.stress.ride import Fix, Ride
from loadtests.stress.riders import EVERY_SECONDS, SELDOM_SECONDS, Rider
from loadtests.stress.schedule import Kind
from loadtests.stress.sight import Sight
from loadtests.stress.system import Node
from loadtests.stress.traffic import Run
from loadtests.stress.watchers import Watcher

RIDERS = 8
WATCHERS_A_NODE = 2
GHOST_SLACK_SECONDS = 1.0 + TICK_SECONDS + SLACK_SECONDS
"""Nodes look for dots that are too old once a second."""
WOKEN_SLACK_SECONDS = 5.0 + GHOST_SLACK_SECONDS
"""A node that was paused forgets nobody by age before it has read what it missed, or could not for five seconds."""
SHARED_SECONDS = 3.0
"""For so long nodes look after a change of sharing: if Redis goes away meanwhile they hide the rider, to be safe."""
_LOOK_SECONDS = 0.05
_ENDING_SECONDS = 1.0
"""A position that ends within this need not be shown any more."""
_ENDS_SECONDS = 10.0
"""A node that is told to stop serves a while longer."""
_FINISH_SECONDS = 30.0
_WOKEN_SECONDS = 1.0


class Live:
    """The traffic of the map."""

    name = "live"

    def __init__(self, run: Run, riders: list[Person], watchers: list[Person]) -> None:
        self._run = run
        random = Random(f"{run.seed} riders")
        middle, starts = starts_at_a_border(len(riders), random)
        self._riders = [
            Rider(
                person,
                run.system.nodes,
                start,
                Random(f"{run.seed} rider {number}"),
                every_seconds=SELDOM_SECONDS if number % 2 else EVERY_SECONDS,
                silent_seconds=run.system.life_seconds if number % 4 == 2 else None,
                moved=self._has_moved,
            )
            for number, (person, start) in enumerate(zip(riders, starts, strict=True))
        ]
        self._rides: dict[int, Ride] = {rider.ride.rider: rider.ride for rider in self._riders}
        self._watchers = [
            Watcher(
                f"watcher {number + 1}",
                person,
                run.system.nodes[number % len(run.system.nodes)],
                self._rides,
                middle,
                run.system.life_seconds,
                run.wrong,
                self._has_arrived,
            )
            for number, person in enumerate(watchers)
        ]
        self._awaited: list[_Awaited] = []
        self._told: set[tuple[str, str, int]] = set()
        self._moves = Seconds()
        self._healings = Seconds()
        self._recorded: dict[str, Any] = {}
        self._looks = 0

    async def begin(self) -> None:
        """Everybody connects; riders share and start their tracks."""
        await asyncio.gather(*(rider.begin() for rider in self._riders))
        await asyncio.sleep(SHARED_SECONDS)

    def work(self) -> Iterable[Awaitable[None]]:
        """Riders ride, watchers watch, and somebody compares."""
        yield from (rider.run() for rider in self._riders)
        yield from (watcher.run() for watcher in self._watchers)
        yield self._compare()

    def in_flight(self) -> int:
        """Fixes that were sent and not answered."""
        return sum(len(rider.ride.unanswered) for rider in self._riders)

    def healed(self, happened: Happened) -> None:
        """From now on it counts how long each pair takes until it is right."""
        if happened.fault.kind is Kind.NODE_PAUSED:
            self._may_be_heard_late(happened)
        for watcher, sight, ride in self._pairs():
            if ride.speaks_often and happened.fault.node in {None, ride.node, watcher.node.number}:
                self._awaited.append(_Awaited(watcher, sight, ride, len(ride.fixes), time.monotonic(), happened))

    async def settle(self) -> None:
        """Stop every track, have every dot leave the maps, and look into PostGIS."""
        finished = await asyncio.gather(*(rider.finish(_FINISH_SECONDS) for rider in self._riders))
        if not all(finished):
            self._run.wrong(f"{finished.count(False)} riders could not end their tracks within {_FINISH_SECONDS:.0f} s")
        self._recorded = await recorded.check(
            self._run.system.database_url, list(self._rides.values()), self._run.wrong
        )

    async def leave(self) -> None:
        """Everybody hangs up."""
        await asyncio.gather(*(rider.leave() for rider in self._riders))

    def figures(self) -> dict[str, Any]:
        """For the report."""
        refused = [error for rider in self._riders for error in rider.errors]
        return {
            "riders": len(self._riders),
            "watchers": len(self._watchers),
            "connects": sum(rider.connects for rider in self._riders),
            "watcher_connects": sum(watcher.connects for watcher in self._watchers),
            "frames": sum(watcher.frames for watcher in self._watchers),
            "comparisons": self._looks,
            "refused": {
                code: sum(error.get("code") == code for error in refused)
                for code in {error.get("code") for error in refused}
            },
            "overdue": sum(rider.overdue for rider in self._riders),
            "seen_after_seconds": Seconds.of(watcher.seen_after for watcher in self._watchers).summary(),
            "seen_after_move_seconds": self._moves.summary(),
            "right_after_healing_seconds": self._healings.summary(),
            "allowed_seconds": round(TWO_TICKS_SECONDS + SLACK_SECONDS, 2),
            "recorded": self._recorded,
        }

    # Comparing

    async def _compare(self) -> None:
        while True:
            now = time.monotonic()
            self._looks += 1
            for watcher, sight, ride in self._pairs():
                self._judge(watcher, sight, ride, now)
            self._awaited = [each for each in self._awaited if self._still_awaited(each, now)]
            self._look_for_ghosts(now)
            await asyncio.sleep(_LOOK_SECONDS)

    def _pairs(self) -> Iterable[tuple[Watcher, Sight, Ride]]:
        """Watchers who see, riders who are connected."""
        for watcher in self._watchers:
            if watcher.sight is None:
                continue
            for ride in self._rides.values():
                if ride.node is not None:
                    yield watcher, watcher.sight, ride

    def _judge(self, watcher: Watcher, sight: Sight, ride: Ride, now: float) -> None:
        key = ("late", watcher.name, ride.rider)
        shown = sight.shown(ride.rider)
        alive_since = now - self._run.system.life_seconds + _ENDING_SECONDS
        unseen = ride.oldest_unseen(sight.newest(ride.rider), since=alive_since)
        if unseen is None or unseen.sent_at is None or unseen.node is None or ride.hidden_at is not None:
            self._told.discard(key)
            return
        path = Path(unseen.node, watcher.node.number, ride.linked_at, sight.since)
        clear = path.clear_since(self._run.timeline, now)
        if clear is None or self._died_with_its_node(unseen):
            return
        late = now - max(clear, unseen.sent_at) - TWO_TICKS_SECONDS - SLACK_SECONDS - self._run.lag()
        if late > 0 and key not in self._told:
            self._told.add(key)
            self._run.wrong(
                f"{watcher.name} on {watcher.node.name} sees fix {shown} of rider {ride.rider}, not {unseen.seq}, sent "
                f"to node {unseen.node + 1} {now - unseen.sent_at:.2f} s ago; the way is clear for {now - clear:.2f} s"
            )

    def _has_arrived(self, node: Node, fix: Fix, now: float) -> bool:
        """Whether a node has to know of a fix by now, be it that it stood still meanwhile: that is read first."""
        if not fix.shown or fix.sent_at is None or fix.node is None or self._died_with_its_node(fix):
            return False
        if now < fix.sent_at + TWO_TICKS_SECONDS + SLACK_SECONDS + self._run.lag():
            return False
        path = Path(fix.node, node.number, fix.sent_at, fix.sent_at)
        return not path.may_hold_up(self._run.timeline, fix.sent_at, now)

    def _died_with_its_node(self, fix: Fix) -> bool:
        """Whether nobody is left who could tell other nodes of it: the next fix has to."""
        ended = self._run.timeline.of({Kind.NODE_KILLED, Kind.NODE_STOPPED}, fix.node)
        return any(fix.sent_at is not None and fix.sent_at < each.began + _ENDS_SECONDS for each in ended)

    def _look_for_ghosts(self, now: float) -> None:
        for watcher in self._watchers:
            if watcher.sight is None or watcher.node.paused or not self._was_awake(watcher, now):
                continue
            for ride in self._rides.values():
                key = ("ghost", watcher.name, ride.rider)
                silent = now - ride.heard_by
                if watcher.sight.shown(ride.rider) is None:
                    self._told.discard(key)
                elif (
                    silent > self._run.system.life_seconds + GHOST_SLACK_SECONDS + self._run.lag()
                    and key not in self._told
                ):
                    self._told.add(key)
                    self._run.wrong(
                        f"{watcher.name} on {watcher.node.name} sees rider {ride.rider}, heard {silent:.1f} s ago"
                    )

    def _was_awake(self, watcher: Watcher, now: float) -> bool:
        paused = self._run.timeline.of({Kind.NODE_PAUSED}, watcher.node.number)
        return all(each.healed is not None and now - each.healed > WOKEN_SLACK_SECONDS for each in paused)

    def _may_be_heard_late(self, happened: Happened) -> None:
        """What a paused node had not read is received when it wakes up."""
        for ride in self._rides.values():
            if any(fix.node == happened.fault.node and not fix.answered_live for fix in ride.fixes):
                ride.heard_by = max(ride.heard_by, time.monotonic() + _WOKEN_SECONDS)

    def _has_moved(self, ride: Ride) -> None:
        now = time.monotonic()
        for watcher in self._watchers:
            if watcher.sight is not None and ride.speaks_often:
                self._awaited.append(_Awaited(watcher, watcher.sight, ride, len(ride.fixes), now, None))

    def _still_awaited(self, awaited: "_Awaited", now: float) -> bool:
        """Whether the watcher has not seen it yet, and still may."""
        if awaited.watcher.sight is not awaited.sight or awaited.ride.node is None or awaited.ride.hidden_at:
            return False
        shown = awaited.sight.shown(awaited.ride.rider)
        if shown is None or shown < awaited.seq:
            return True
        if awaited.happened is None:
            self._moves.add(now - awaited.since)
        else:
            self._healings.add(now - awaited.since)
            awaited.happened.right_after.append(now - awaited.since)
        return False


class _Awaited:
    """A watcher who is to see a rider at this fix or a later one."""

    def __init__(
        self, watcher: Watcher, sight: Sight, ride: Ride, seq: int, since: float, happened: Happened | None
    ) -> None:
        self.watcher = watcher
        self.sight = sight
        self.ride = ride
        self.seq = seq
        self.since = since
        self.happened = happened
