"""`python -m loadtests.bench nodes [figure …]`: rounds of measurements, one peer after another, and the report."""

import argparse
import dataclasses
import json

from loadtests.bench.nodes.figures import MEASUREMENTS
from loadtests.bench.nodes.plan import FULL, QUICK, Plan
from loadtests.bench.nodes.results import FIGURES, PEERS
from loadtests.bench.private_stack import changed_settings, private_stack
from loadtests.bench.wire.bench import FULL as WIRE_DURATIONS
from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.command import guarded, measure, positive, say
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.machine import describe
from loadtests.bench.wire.measuring import Cores
from loadtests.bench.wire.peers import NODE_SETTINGS
from loadtests.bench.wire.processes import on_cores
from loadtests.bench.wire.report import summary, table
from loadtests.bench.wire.results import Results
from loadtests.bench.wire.workspace import Workspace, workspace

_ROUNDS = 5
_QUICK_ROUNDS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "figures", nargs="*", metavar="figure", help=f"of {', '.join(MEASUREMENTS)} (default: every one)"
    )
    parser.add_argument(
        "--rounds", type=positive, help=f"interleaved rounds (default: {_ROUNDS}, quick {_QUICK_ROUNDS})"
    )
    parser.add_argument("--minutes", type=positive, help="how long `crowd` lasts (default: 10, quick 1)")
    parser.add_argument("--quick", action="store_true", help="short loads: a look, not a result")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print; exit status 1 when a goal is missed or something could not be measured."""
    if unknown := set(options.figures) - MEASUREMENTS.keys():
        say(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
        return 2
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    cores, plan = Cores.of_this_machine(), _plan(options)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    chosen = [MEASUREMENTS[name](plan) for name in options.figures or MEASUREMENTS]
    with workspace() as built:
        runs = [_Run(built, cores, one, rounds) for one in chosen]
    results = Results([reading for one in runs for reading in one.readings], FIGURES)
    surroundings = {
        **describe(cores),
        "settings that differ from their defaults": runs[0].settings,
        "generator's largest share of its core": f"{max(one.busiest for one in runs):.0%}",
        "rounds": rounds,
    }
    if options.json:
        print(json.dumps(summary(results, surroundings, PEERS)))
    else:
        print("\n".join(table(results, surroundings, PEERS)))
    return 1 if any(verdict.reached is False for verdict in results.verdicts()) else 0


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    return plan if options.minutes is None else dataclasses.replace(plan, crowd_minutes=options.minutes)


class _Run:
    """All rounds of one measurement, on a stack of its own: what one leaves behind is in no other's way."""

    def __init__(self, built: Workspace, cores: Cores, measurement: Measurement, rounds: int) -> None:
        used = cores.shared() if measurement.shares_cores else cores
        with on_cores(used.others), private_stack() as stack:
            bench = Bench(built, used, stack, WIRE_DURATIONS)
            self.readings = measure(bench, measurement, rounds, PEERS)
            self.settings = changed_settings({**stack.environment, **NODE_SETTINGS})
        self.busiest = bench.busiest
