"""One run: the system starts, everybody connects, things break by the schedule, everything is checked, all is ended."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.stress.durable import FOLLOWED, Durable
from loadtests.stress.faults import Faults, Timeline
from loadtests.stress.levels import levels, until_level
from loadtests.stress.live import RIDERS, WATCHERS_A_NODE, Live
from loadtests.stress.people import register, shared
from loadtests.stress.schedule import CALM_SECONDS, Fault, Kind, Topology, draw
from loadtests.stress.system import LIFE_SECONDS, System
from loadtests.stress.tamper import Sabotage
from loadtests.stress.traffic import Run, Traffic
from loadtests.stress.truth import Truth
from loadtests.verify.processes import DidNotStart
from server.stack import PostgresServer

_MOST_VIOLATIONS = 100
"""Kept word for word; more are counted."""
_LAG_SECONDS = 0.05
_LAGS_KEPT = 100
_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Options:
    """What to run."""

    seed: int
    seconds: float = 60.0
    nodes: int = 2
    topology: Topology = Topology.SINGLE
    sabotage: Sabotage | None = None
    kinds: tuple[str, ...] = ()
    """Only these faults, if any are named."""
    faults: tuple[Fault, ...] | None = None
    """These faults, instead of those that the seed gives."""
    calm_seconds: float = CALM_SECONDS
    """After the last fault."""
    life_seconds: float = LIFE_SECONDS
    patience_seconds: float = 0.0
    """So much later than promised may things be: a machine with other work to do keeps no time."""


@dataclass
class Outcome:
    """What happened."""

    options: Options
    schedule: list[Fault]
    timeline: Timeline
    violations: list[str] = field(default_factory=list)
    violation_count: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    levels: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def wrong(self, sentence: str) -> None:
        """Note a violation."""
        self.violation_count += 1
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append(sentence)

    @property
    def kinds(self) -> dict[str, int]:
        """How often each kind of fault was done."""
        return dict(Counter(happened.fault.kind.value for happened in self.timeline.happened))


class Lag:
    """How much later than asked this program's loop turned, of late; and what is allowed besides."""

    def __init__(self, patience_seconds: float = 0.0) -> None:
        self._patience_seconds = patience_seconds
        self._lags: deque[float] = deque([0.0], maxlen=_LAGS_KEPT)
        self.longest = 0.0

    def __call__(self) -> float:
        return max(self._lags) + self._patience_seconds

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LAG_SECONDS)
            late = time.monotonic() - asked - _LAG_SECONDS
            self._lags.append(late)
            self.longest = max(self.longest, late)


async def stress(
    options: Options, directory: Path, say: Callable[[str], None], postgres: PostgresServer | None = None
) -> Outcome:
    """Run it; `postgres` as `System` takes it. Raises DidNotStart when the system does not come up at all."""
    began = time.monotonic()
    schedule = _schedule(options)
    outcome = Outcome(options, schedule, Timeline())

    def wrong(sentence: str) -> None:
        outcome.wrong(sentence)
        say(f"VIOLATION: {sentence}")

    say(f"starting stores, {options.nodes} nodes and a worker (logs in {directory / 'logs'})")
    system = System(
        directory,
        nodes=options.nodes,
        topology=options.topology,
        life_seconds=options.life_seconds,
        postgres=postgres,
    )
    async with system:
        lag = Lag(options.patience_seconds)
        run = Run(system, outcome.timeline, options.seed, wrong, lag)
        outcome.levels["before"] = await levels(system)
        traffic = await _traffic(run, options.sabotage)
        truth = Truth(run, options.topology)
        try:
            await _disturbed(run, schedule, traffic, truth, lag, say, options.calm_seconds)
            say("everything is well again: checking what is kept")
            for each in traffic:
                await each.settle()
        except DidNotStart as ended:
            wrong(str(ended))
        finally:
            for each in traffic:
                await each.leave()
        say("everybody has gone: looking for leaks")
        outcome.levels["after"] = await until_level(system, outcome.levels["before"], wrong)
    outcome.figures = {each.name: each.figures() for each in traffic}
    outcome.figures["truth"] = truth.figures()
    outcome.figures["longest_lag_seconds"] = round(lag.longest, 3)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _schedule(options: Options) -> list[Fault]:
    if options.faults is not None:
        return list(options.faults)
    drawn = draw(options.seed, options.seconds, options.nodes, options.topology)
    return [fault for fault in drawn if not options.kinds or fault.kind in options.kinds]


async def _traffic(run: Run, sabotage: Sabotage | None) -> list[Traffic]:
    """Everything that works while things break; a later feature adds its own here."""
    watchers = WATCHERS_A_NODE * len(run.system.nodes)
    people = await register(run.system.nodes[0], RIDERS + watchers + FOLLOWED)
    riding, watching, followed = shared(people, [RIDERS, watchers, FOLLOWED])
    return [Live(run, riding, watching), Durable(run, followed, sabotage)]


async def _disturbed(
    run: Run,
    schedule: list[Fault],
    traffic: list[Traffic],
    truth: Truth,
    lag: Lag,
    say: Callable[[str], None],
    calm_seconds: float,
) -> None:
    """Everybody works while the schedule is carried out. Raises DidNotStart when a process ends by itself."""
    for each in traffic:
        await each.begin()
    work: list[Awaitable[None]] = [lag.watch(), _guard(run.system)]
    work += [truth.watch(node) for node in run.system.nodes]
    work += [part for each in traffic for part in each.work()]
    tasks = [asyncio.ensure_future(part) for part in work]
    faults = asyncio.ensure_future(_carry_out(run, schedule, traffic, say, calm_seconds))
    try:
        done, _ = await asyncio.wait({faults, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (faults, *tasks):
            task.cancel()
        await asyncio.gather(faults, *tasks, return_exceptions=True)


async def _carry_out(
    run: Run, schedule: list[Fault], traffic: list[Traffic], say: Callable[[str], None], calm_seconds: float
) -> None:
    """Each fault at its time; returns when all are healed and the last calm is over."""
    began = time.monotonic()
    faults = Faults(run.system, run.timeline, say)

    async def do(fault: Fault) -> None:
        await faults.do(fault, {each.name: each.in_flight() for each in traffic})
        happened = next(each for each in run.timeline.happened if each.fault is fault)
        for each in traffic:
            each.healed(happened)

    async with asyncio.TaskGroup() as group:
        for fault in schedule:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            began += await _until_others_are_healed(run.timeline, fault)
            group.create_task(do(fault), name=fault.kind)
    await asyncio.sleep(calm_seconds)


async def _until_others_are_healed(timeline: Timeline, fault: Fault) -> float:
    """A healing may take longer than was drawn: how many seconds later everything is from here on.

    The calm begins with the healing. The pause of a node is waited for by faults of nodes only.
    """
    asked = time.monotonic()
    while True:
        others = timeline.going_on()
        if all(each.fault.kind is Kind.NODE_PAUSED and fault.node is None for each in others):
            break
        await asyncio.sleep(_CHECK_SECONDS)
    healed = (each.healed for each in timeline.happened if each.healed and each.fault.kind is not Kind.NODE_PAUSED)
    await asyncio.sleep(max(healed, default=0.0) + CALM_SECONDS - time.monotonic())
    return time.monotonic() - asked


async def _guard(system: System) -> None:
    while True:
        system.check()
        await asyncio.sleep(_CHECK_SECONDS)
