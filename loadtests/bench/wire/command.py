"""`python -m loadtests.bench wire [figure …]`: rounds of measurements, one server after another, and the report."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import NoReturn

from loadtests.bench.private_stack import changed_settings, private_stack
from loadtests.bench.wire.bench import FULL, QUICK, Bench
from loadtests.bench.wire.figures import MEASUREMENTS, Measurement, TooFast
from loadtests.bench.wire.generator import LoadFailed
from loadtests.bench.wire.machine import describe
from loadtests.bench.wire.measuring import Cores
from loadtests.bench.wire.peers import NODE_SETTINGS
from loadtests.bench.wire.processes import DidNotStart, on_cores
from loadtests.bench.wire.report import summary, table
from loadtests.bench.wire.results import PEERS, Reading, Results
from loadtests.bench.wire.workspace import Missing, workspace

_ROUNDS = 3
_QUICK_ROUNDS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "figures", nargs="*", metavar="figure", help=f"of {', '.join(MEASUREMENTS)} (default: every one)"
    )
    parser.add_argument(
        "--rounds", type=positive, help=f"interleaved rounds (default: {_ROUNDS}, quick {_QUICK_ROUNDS})"
    )
    parser.add_argument("--quick", action="store_true", help="short loads and few sockets: a look, not a result")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help="measure only these (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print; exit status 1 when a goal is missed or a server could not be measured."""
    if unknown := set(options.figures) - MEASUREMENTS.keys():
        say(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
        return 2
    return guarded(lambda: _run(options))


def guarded(work: Callable[[], int]) -> int:
    """The exit status of `work`, 1 when something could not be measured. However it ends, the servers end with it."""
    # SIGTERM unwinds as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        return work()
    except (Missing, DidNotStart, LoadFailed, TooFast) as reason:
        say(str(reason))
        return 1


def say(line: str) -> None:
    """Progress, with the time of day: standard output belongs to the figures."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> int:
    cores = Cores.of_this_machine()
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    with workspace() as built, on_cores(cores.others), private_stack() as stack:
        bench = Bench(built, cores, stack, QUICK if options.quick else FULL)
        chosen = [MEASUREMENTS[name]() for name in options.figures or MEASUREMENTS]
        results = Results(reading for one in chosen for reading in measure(bench, one, rounds, options.peers))
        surroundings = {
            **describe(cores),
            "settings that differ from their defaults": changed_settings({**stack.environment, **NODE_SETTINGS}),
            "generator's largest share of its core": f"{bench.busiest:.0%}",
            "rounds": rounds,
        }
    if options.json:
        print(json.dumps(summary(results, surroundings)))
    else:
        print("\n".join(table(results, surroundings)))
    return 1 if any(verdict.reached is False for verdict in results.verdicts()) else 0


def measure(bench: Bench, measurement: Measurement, rounds: int, peers: Iterable[str]) -> list[Reading]:
    """All rounds of a measurement; from the beginning when a server could not keep up with the rate of all."""
    while True:
        try:
            return list(_rounds(bench, measurement, 1 if measurement.once else rounds, peers))
        except TooFast as reason:
            say(f"{reason}; beginning again with {measurement.slow_down()}")


def _rounds(bench: Bench, measurement: Measurement, rounds: int, peers: Iterable[str]) -> Iterator[Reading]:
    for number in range(1, rounds + 1):
        for peer in measurement.peers:
            if peer not in peers:
                continue
            for reading in measurement.measure(bench, peer):
                value = "none" if reading.value is None else f"{reading.value:,.2f}"
                say(f"round {number} of {rounds}: {reading.figure}, {reading.peer}: {value}")
                yield reading


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def positive(text: str) -> int:
    """A number on the command line. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)
