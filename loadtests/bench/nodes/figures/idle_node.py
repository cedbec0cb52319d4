"""A node that has no use for a message: how its CPU grows with the messages that others publish and hear.

Three nodes. A client of the first asks for emits to a room that only the second has a member of, at several rates; the
third has one client, in another room. The figure is the slope of the straight line through (messages a second, CPU a
second of the third); its noise is twice the standard error of that slope.
"""

import contextlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.bench.nodes.figures.across import fill_room
from loadtests.bench.nodes.peers import ROOMS
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.nodes.results import PEERS
from loadtests.bench.wire.accounts import strangers
from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.figures.figure import MICRO
from loadtests.bench.wire.generator import Generator
from loadtests.bench.wire.measuring import cpu_seconds
from loadtests.bench.wire.results import OURS, Reading

_RATES = (0, 500, 2000)
_TURNS = 4
"""Each rate so often, in turns: what a process does by itself changes with time."""


@dataclass(frozen=True)
class Point:
    """A measurement: messages a second that really went by, and CPU seconds of a second."""

    rate: float
    cpu: float


class IdleNode(Measurement):
    """The figure `idle-node`."""

    peers = PEERS
    once = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        with contextlib.ExitStack() as stack:
            emits, hears, idles = (stack.enter_context(bench.server(ROOMS[peer])) for _ in range(3))
            generator = stack.enter_context(bench.generator(emits))
            fill_room(generator, hears, listeners=1, greeted=peer == OURS)
            auths = [one.auth for one in strangers(1)] if peer == OURS else None
            generator.group("bystander", auths, port=idles.port, greeted=peer == OURS)
            generator.open("bystander", 1)
            generator.flow("driver", 2, self._plan.warm_up, "room")
            points = [self._point(generator, rate, idles.pid) for _ in range(_TURNS) for rate in _RATES]
        slope, noise = fitted(points)
        told = [{"rate": round(point.rate), "cpu_ms": round(point.cpu * 1000, 3)} for point in points]
        note = f"± {noise * MICRO:.2f} µs; an hour without messages: {_at_rest(points) * 3600:.1f} s of CPU"
        return [Reading("idle-node", peer, slope * MICRO, note, {"points": told}, noise=noise * MICRO)]

    def _point(self, generator: Generator, rate: int, pid: int) -> Point:
        before, seconds = cpu_seconds(pid), self._plan.idle_load
        at_rate = generator.pace("driver", 1000 / rate, seconds, listeners="room") if rate else None
        happened = at_rate or generator.idle(seconds)
        cpu = cpu_seconds(pid) - before
        return Point(happened.groups["room"].events / happened.seconds, cpu / happened.seconds)


def fitted(points: Sequence[Point]) -> tuple[float, float]:
    """The slope of the straight line through the points, and twice its standard error."""
    rates, cpu = [point.rate for point in points], [point.cpu for point in points]
    line = statistics.linear_regression(rates, cpu)
    off = sum((y - line.intercept - line.slope * x) ** 2 for x, y in zip(rates, cpu, strict=True))
    wide = sum((x - statistics.fmean(rates)) ** 2 for x in rates)
    return line.slope, 2 * math.sqrt(off / (len(points) - 2) / wide)


def _at_rest(points: Sequence[Point]) -> float:
    return statistics.fmean(point.cpu for point in points if not point.rate)
