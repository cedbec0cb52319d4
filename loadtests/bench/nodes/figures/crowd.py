"""A crowd on one whole node: 1,000 riders at 1 Hz who each watch 20 of them, and 9,000 members who are only there.

Node, worker, Postgres, Redis and the generator share two cores. Every position is recorded and acknowledged, and timed
from its sending until it is in a frame of each rider who watches. Memory is read ten times.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.kit.clock import SystemClock
from domain.kit.ids import uuid7
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.wire.accounts import Rider, make_riders
from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.command import say
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.figures.live_map import move, start_track
from loadtests.bench.wire.figures.places import places
from loadtests.bench.wire.generator import Generator, Happened
from loadtests.bench.wire.measuring import CpuMeter, CpuTime, memory_bytes
from loadtests.bench.wire.peers import OUR_NODE, worker_command
from loadtests.bench.wire.results import OURS, Reading

_RIDERS = 1000
_TOGETHER = 20
_SPEAKS_EVERY_MS = 1000
_WARM_UP_TURNS = 5
_READINGS = 10
"""Of the memory, after the first; in a run of ten minutes one each minute."""
_SETTLED = 2
"""Readings after which what a node keeps of its riders has been built up."""


class Crowd(Measurement):
    """The figures `crowd-…`."""

    peers = (OURS,)
    once = True
    shares_cores = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        riders = make_riders(bench.stack.database_url, _RIDERS + self._plan.crowd_idle)
        with (
            bench.process("worker", worker_command, {}, bench.cores.server) as (worker, _),
            bench.server(OUR_NODE) as server,
            bench.generator(server) as generator,
        ):
            _set_out(generator, riders[:_RIDERS], riders[_RIDERS:])
            say(f"{len(riders):,} sockets are open, {_RIDERS:,} of them ride")
            watch = _Watch(server)
            for happened in self._minutes(generator):
                watch.look(happened)
            worker.check()
            return watch.readings(len(riders))

    def _minutes(self, generator: Generator) -> Iterator[Happened]:
        """What happened in each of the parts of the time, after a short one that warms up."""
        generator.pace("riders", _SPEAKS_EVERY_MS, _WARM_UP_TURNS * _SPEAKS_EVERY_MS / 1000, acks=True)
        seconds = self._plan.crowd_minutes * 60 / _READINGS
        for _ in range(_READINGS):
            yield generator.pace("riders", _SPEAKS_EVERY_MS, seconds, acks=True, drain_seconds=2, lossy=True)


def _set_out(generator: Generator, riders: list[Rider], members: list[Rider]) -> None:
    """Everybody connects; riders look at their place, and begin to ride."""
    chance, clock = random.Random(1), SystemClock()
    where = [place for place in places(len(riders) // _TOGETHER) for _ in range(_TOGETHER)]
    tracks = [uuid7(clock.epoch_ms()) for _ in riders]
    generator.group("members", [one.auth for one in members], greeted=True)
    generator.group("riders", [one.auth for one in riders], greeted=True, rows=True)
    generator.look("riders", [one.rider for one in riders], _TOGETHER)
    generator.open("members", len(members))
    generator.open("riders", len(riders))
    generator.events("riders", [place.watch() for place in where])
    generator.once("riders")
    generator.events("riders", [start_track(track) for track in tracks])
    generator.once("riders", at_once=100)
    moves = [move(track, place, chance, told_apart=True) for track, place in zip(tracks, where, strict=True)]
    generator.events("riders", moves)


@dataclass
class _Watch:
    """What is seen of the node, part by part."""

    server: Server
    parts: list[Happened] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    cpu: list[CpuTime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory.append(memory_bytes(self.server.pid))
        self._meter = CpuMeter(self.server.pid)

    def look(self, happened: Happened) -> None:
        self.parts.append(happened)
        self.memory.append(memory_bytes(self.server.pid))
        self.cpu.append(self._meter.read())
        self._meter = CpuMeter(self.server.pid)
        seen = happened.sightings_us
        say(
            f"{happened.seconds:.0f} s: seen after {seen['p50'] / 1000:.0f} ms, p99 {seen['p99'] / 1000:.0f} ms, "
            f"node {self.cpu[-1].seconds / happened.seconds:.0%} of a core, {self.memory[-1] >> 20} MiB"
        )

    def readings(self, sockets: int) -> list[Reading]:
        """The figures, of the worst part where there are several."""
        lost = sum(group.closed for part in self.parts for group in part.groups.values())
        settled = self.memory[_SETTLED]
        growth = (self.memory[-1] - settled) / settled * 100
        worst = max(self.parts, key=lambda part: part.sightings_us["p99"])
        told = {
            "sockets": sockets,
            "seconds": [round(part.seconds, 1) for part in self.parts],
            "seen_us": [part.sightings_us for part in self.parts],
            "acknowledged_us": [part.latency_us for part in self.parts],
            "node_cpu_share": [
                round(cpu.seconds / part.seconds, 3) for cpu, part in zip(self.cpu, self.parts, strict=True)
            ],
        }
        sent = sum(part.groups["riders"].sent for part in self.parts)
        refused = sum(part.groups["riders"].refused for part in self.parts)
        seen = sum(part.sightings_us["count"] for part in self.parts)
        sight = (
            f"{sent:,} positions sent, {refused} refused, {seen / sent:.1f} sightings of each; the worst part counts"
        )
        memory = [round(after / 2**20, 1) for after in self.memory]
        return [
            Reading("crowd-p99", OURS, worst.sightings_us["p99"] / 1000, sight, told),
            Reading("crowd-lost", OURS, lost + refused, "", {"refused": refused}),
            Reading("crowd-growth", OURS, growth, f"MiB in turn: {', '.join(map(str, memory))}", {"mib": memory}),
        ]
