"""The command line of stress: options, the run in a directory of its own, the report, the exit status."""

import argparse
import asyncio
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from loadtests.stress.report import lines, summary
from loadtests.stress.run import Options, stress
from loadtests.stress.schedule import Kind, Topology
from loadtests.stress.tamper import SABOTAGES
from loadtests.verify.processes import DidNotStart

_VIOLATED, _COULD_NOT_RUN, _INTERRUPTED = 1, 2, 130


def parse(arguments: Sequence[str] | None = None) -> tuple[Options, argparse.Namespace]:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m loadtests.stress", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="same seed, same schedule of faults")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the schedule (default: %(default)g)")
    parser.add_argument("--nodes", type=_two_or_more, default=2, help="node processes (default: %(default)s)")
    parser.add_argument("--redis", choices=list(Topology), default=Topology.SINGLE, help="how Redis runs")
    parser.add_argument("--only", nargs="+", choices=list(Kind), default=(), help="of the schedule only these faults")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="tamper with what a client was sent: the run must fail")
    parser.add_argument("--json", action="store_true", help="print the object on one line")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    given = parser.parse_args(arguments)
    options = Options(given.seed, given.seconds, given.nodes, Topology(given.redis), given.sabotage, tuple(given.only))
    return options, given


def main() -> int:
    """Run and print; the exit status: 0 nothing was violated, 1 something was, 2 it could not run."""
    options, given = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Standard output belongs to the report.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    directory = Path(tempfile.mkdtemp(prefix="throttlecove-stress-"))
    directory.chmod(0o711)  # PostgreSQL may have to run as another user below it
    keep = True
    try:
        outcome = asyncio.run(stress(options, directory, say))
    except DidNotStart as reason:
        say(str(reason))
        return _COULD_NOT_RUN
    except KeyboardInterrupt:
        keep = given.keep
        return _INTERRUPTED
    else:
        for line in lines(outcome):
            say(line)
        print(json.dumps(summary(outcome), indent=None if given.json else 2), flush=True)
        keep = given.keep or bool(outcome.violation_count)
        return _VIOLATED if outcome.violation_count else 0
    finally:
        if keep:
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def say(line: str) -> None:
    """Progress, with the time of day: standard output belongs to the report."""
    now = time.time()
    print(f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now * 10) % 10} {line}", file=sys.stderr, flush=True)


def _two_or_more(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError("must be a whole number, 2 or more")
    return int(text)
