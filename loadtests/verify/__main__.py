"""`python -m loadtests.verify --tracks DIR`: prints replay's JSON object last; exit status 0 when everything held."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from loadtests.replay.database import SABOTAGES
from loadtests.replay.options import Options, count, positive
from loadtests.replay.report import Outcome
from loadtests.replay.run import CannotRun, journeys_of, replay, say, show
from loadtests.verify.interruption import Interruption
from loadtests.verify.processes import DidNotStart, System

NODES = 2
LARGEST_FLAGGED_PCT = 3.0
"""Disbelieved fixes in a track without outliers."""
_WITHIN_SECONDS = 100.0
_GIVE_UP_SECONDS = 170.0


def shortcomings(outcome: Outcome) -> Iterator[str]:
    """What did not hold, in sentences."""
    if not outcome.sound:
        yield "something is missing, twice, different or not finished (see the table)"
    if not outcome.pending_at_kill:
        yield "the worker was not killed with entries pending"
    if outcome.flagged_max_pct >= LARGEST_FLAGGED_PCT:
        yield f"{outcome.flagged_max_pct:.2f} % of a track without outliers are flagged"


async def verify(options: Options, directory: Path) -> Outcome:
    """Start the system, ride, kill the worker, check, stop everything. Raises DidNotStart or CannotRun."""
    journeys = journeys_of(options)  # first: without a track nothing need be started
    system = System(directory)
    try:
        say(f"starting a fresh stack, {NODES} nodes and a worker (logs in {system.logs})")
        await system.start(NODES)
        settings = await system.changed_settings()
        options = replace(options, urls=tuple(system.urls), database_url=system.database_url)
        outcome = await replay(options, Interruption(system, say), settings, journeys)
        system.check()
    finally:
        say("stopping everything")
        await system.stop()
    return outcome


def parse(arguments: Sequence[str] | None = None) -> tuple[Options, bool]:
    """Read the command line: the run, and whether to keep its directory."""
    parser = argparse.ArgumentParser("python -m loadtests.verify", description=__doc__)
    parser.add_argument("--tracks", type=Path, required=True, metavar="DIR", help="GPX and CSV files to ride")
    parser.add_argument("--riders", type=count, help="riders at the same time (default: one a track)")
    parser.add_argument("--within", type=positive, default=_WITHIN_SECONDS, help="ride each track within these seconds")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="damage one stored fix: the check must fail")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same stretches sent late")
    parser.add_argument("--keep", action="store_true", help="keep the directory with databases and logs")
    given = vars(parser.parse_args(arguments))
    keep = given.pop("keep")
    return Options(settle_seconds=60.0, give_up_seconds=_GIVE_UP_SECONDS, **given), keep


def main() -> int:
    """Verify and print; the exit status: 0 all held, 1 something did not, 2 could not run."""
    options, keep = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = Path(tempfile.mkdtemp(prefix="throttlecove-verify-"))
    try:
        outcome = asyncio.run(verify(options, directory))
    except (DidNotStart, CannotRun) as reason:
        say(str(reason))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    else:
        result = show(outcome)
        failed = list(shortcomings(outcome))
        for sentence in failed:
            say(f"FAILED: {sentence}")
        keep = keep or bool(failed)
        print(result, flush=True)
        return 1 if failed else 0
    finally:
        if keep:
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
