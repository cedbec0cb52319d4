"""The live map: CPU per position delivered, with 1,000 riders and 1,000 watchers who each see 100 of them.

Ours is a whole node with recording on and a worker beside it (whose CPU is told apart); each position is on disk before
its ack. Node's peer sends each position to the room of its cell and records nothing. Both are measured at the same
rate: 1 Hz for each rider, or the next lower one that both sustain.
"""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from domain.kit.clock import SystemClock
from domain.kit.ids import uuid7
from loadtests.bench.wire.accounts import Rider
from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.figures.figure import MICRO, Measurement, TooFast, details
from loadtests.bench.wire.figures.places import Place, places
from loadtests.bench.wire.generator import Generator, Happened
from loadtests.bench.wire.measuring import CpuMeter, cpu_seconds
from loadtests.bench.wire.peers import NODE_SERVER, OUR_NODE, worker_command
from loadtests.bench.wire.results import NODE, OURS, Reading

RIDERS = WATCHERS = 1000
INTERVALS_MS = (1000, 1250, 1600, 2000, 3000, 4000, 8000)
_SEEN = RIDERS // 10
"""Riders in one place, and whom each watcher sees."""
_MISSING = 0.05
"""Positions that may be missing: of two within a tick only the newer one is sent."""
_SATURATED = 0.95
"""Share of a core from which on a server is taken to fall behind, however short the load."""
_LATE_INTERVALS = 2
_WARM_UP_TURNS = 2


@dataclass(frozen=True)
class Script:
    """What everybody sends."""

    riders: list[str] | None
    """CONNECT payloads; None without authentication."""
    watchers: list[str] | None
    start: list[str] | None
    """How riders begin, where they have to."""
    watch: list[str]
    update: list[str]


class LiveMap(Measurement):
    """The figure `map`."""

    # Whoever is the likelier one to fall behind goes first, so that a rate that is too high costs the least time.
    peers = (NODE, OURS)

    def __init__(self) -> None:
        self._rate = 0

    def slow_down(self) -> str:
        if self._rate + 1 == len(INTERVALS_MS):
            raise TooFast("the live map is not sustained at any rate")
        self._rate += 1
        return f"one position of each rider every {INTERVALS_MS[self._rate] / 1000:g} s"

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        recipe = OUR_NODE if peer == OURS else NODE_SERVER
        with _worker(bench, peer) as worker_pid, bench.server(recipe) as server, bench.generator(server) as generator:
            _set_out(generator, _our_script(bench) if peer == OURS else _node_script())
            interval = INTERVALS_MS[self._rate]
            generator.pace("riders", interval, _WARM_UP_TURNS * interval / 1000, acks=True)
            return [self._read(bench, peer, server, generator, worker_pid)]

    def _read(self, bench: Bench, peer: str, server: Server, generator: Generator, worker_pid: int | None) -> Reading:
        interval = INTERVALS_MS[self._rate]
        seconds = max(bench.durations.map_load, 2 * interval / 1000)
        meter, worker = CpuMeter(server.pid), cpu_seconds(worker_pid) if worker_pid else 0.0
        happened = generator.pace("riders", interval, seconds, acks=True)
        cpu = meter.read()
        delivered = _check(peer, happened, interval, cpu.seconds / happened.seconds)
        frames = happened.groups["watchers"].events
        more: dict[str, object] = {
            "positions": delivered,
            "frames": frames,
            "interval_ms": interval,
            **details(happened, cpu),
        }
        note = f"each rider sends every {interval / 1000:g} s"
        if worker_pid is not None:
            extra = (cpu_seconds(worker_pid) - worker) / delivered * MICRO
            more["worker_us_per_position"] = round(extra, 3)
        return Reading("map", peer, cpu.seconds / delivered * MICRO, note, more)


def _check(peer: str, happened: Happened, interval_ms: int, cpu_share: float) -> int:
    """The positions that were delivered. Raises TooFast when the server fell behind."""
    riders, watchers = happened.groups["riders"], happened.groups["watchers"]
    delivered = watchers.rows if peer == OURS else watchers.events
    expected = riders.sent * _SEEN
    late = cpu_share > _SATURATED or happened.latency_us["p99"] > _LATE_INTERVALS * interval_ms * 1000
    if not happened.done or riders.refused or late or delivered < expected * (1 - _MISSING):
        raise TooFast(
            f"{peer} does not sustain a position of each rider every {interval_ms / 1000:g} s "
            f"({delivered:,} of {expected:,} delivered, {cpu_share:.0%} of a core, "
            f"acks after {happened.latency_us['p99'] / 1000:.0f} ms at p99)"
        )
    return delivered


@contextlib.contextmanager
def _worker(bench: Bench, peer: str) -> Iterator[int | None]:
    if peer != OURS:
        yield None
        return
    with bench.process("worker", worker_command, {}, bench.cores.others) as (child, _):
        yield child.pid
        child.check()


def _set_out(generator: Generator, script: Script) -> None:
    """Everybody connects, watchers look at their place, riders begin to ride."""
    greeted = script.riders is not None
    generator.group("riders", script.riders, greeted=greeted)
    generator.group("watchers", script.watchers, greeted=greeted, rows=True)
    generator.open("watchers", WATCHERS)
    generator.open("riders", RIDERS)
    generator.events("watchers", script.watch)
    generator.once("watchers")
    if script.start is not None:
        generator.events("riders", script.start)
        # Each is answered after a group commit.
        generator.once("riders", at_once=100)
    generator.events("riders", script.update)


def _our_script(bench: Bench) -> Script:
    chance, clock, where = random.Random(1), SystemClock(), places()
    riders, watchers = bench.riders[:RIDERS], bench.riders[RIDERS : RIDERS + WATCHERS]
    tracks = [uuid7(clock.epoch_ms()) for _ in riders]
    return Script(
        riders=_auths(riders),
        watchers=_auths(watchers),
        start=[start_track(track) for track in tracks],
        watch=[_place(where, number).watch() for number in range(WATCHERS)],
        update=[move(track, _place(where, number), chance) for number, track in enumerate(tracks)],
    )


def _node_script() -> Script:
    chance, where = random.Random(1), places()
    return Script(
        riders=None,
        watchers=None,
        start=None,
        watch=[f'["map:watch",{{"cell":"{_place(where, number).name}"}}]' for number in range(WATCHERS)],
        update=[_node_move(number, _place(where, number), chance) for number in range(RIDERS)],
    )


def start_track(track: UUID) -> str:
    """A rider of ours begins to ride."""
    return f'["track:start",{{"track_id":"{track}","started_at":{{now}}}}]'


def move(track: UUID, place: Place, chance: random.Random, *, told_apart: bool = False) -> str:
    """A rider of ours is somewhere else now."""
    fix = place.fix(chance, told_apart=told_apart)
    return f'["location:update",{{"track_id":"{track}","fix":{fix}}}]'


def _node_move(number: int, place: Place, chance: random.Random) -> str:
    return f'["location:update",{{"cell":"{place.name}","rider":{number + 1},"fix":{place.fix(chance)}}}]'


def _place(where: list[Place], number: int) -> Place:
    return where[number % len(where)]


def _auths(riders: list[Rider]) -> list[str]:
    return [rider.auth for rider in riders]
