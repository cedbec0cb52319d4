"""One run from beginning to end: ride, wait for the worker, check in PostGIS, report.

`replay` is also what `loadtests.verify` calls, with something to do while riders ride.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg

from loadtests.replay.accounts import SignInFailed
from loadtests.replay.database import Witness, changed_settings, find_database
from loadtests.replay.fleet import Fleet
from loadtests.replay.journeys import Journeys
from loadtests.replay.judge import Verdict
from loadtests.replay.ledger import State
from loadtests.replay.options import DEFAULT_WITHIN_SECONDS, Options
from loadtests.replay.report import Outcome, summary, table

_PROGRESS_SECONDS = 5.0
_ENDLESS_PROGRESS_SECONDS = 30.0
_PATIENCE_BESIDE_SECONDS = 15.0
_PATIENCE = 3.0  # times the planned length, before riding is given up

Meanwhile = Callable[[Fleet], Awaitable[int]]
"""What happens while riders ride; gives the number of pending entries when the worker was killed."""


class CannotRun(Exception):
    """The run cannot begin, or not be checked; the message says what to do."""


def say(line: str) -> None:
    """Progress and tables go to standard error: standard output is for the result."""
    print(line, file=sys.stderr, flush=True)


async def replay(
    options: Options,
    meanwhile: Meanwhile | None = None,
    settings: Mapping[str, Any] | None = None,
    journeys: Journeys | None = None,
) -> Outcome:
    """Ride and check; `journeys` are those of the options, where they are known already. Raises CannotRun."""
    database_url = find_database(options.database_url) if options.check else None
    if options.check and database_url is None:
        raise CannotRun("no database to check in: give --database-url or DATABASE_URL, or --no-check")
    began = time.monotonic()
    journeys = journeys or journeys_of(options)
    fleet = Fleet(options, journeys, say)
    pending = await _ride(fleet, options, meanwhile)
    verdicts = await _check(fleet, options, database_url) if database_url else []
    return Outcome(
        riders=journeys.riders,
        ledgers=fleet.ledgers,
        verdicts=verdicts,
        pending_at_kill=pending,
        watched_across_nodes=len(options.urls) > 1,
        reconnects=fleet.reconnects,
        skipped=journeys.library.skipped,
        settings_changed=await asyncio.to_thread(changed_settings) if settings is None else settings,
        sabotage=options.sabotage,
        seconds=time.monotonic() - began,
    )


def show(outcome: Outcome, *, to: Callable[[str], None] = say) -> str:
    """Print the table; the result as one line of JSON, to be printed last."""
    for line in table(outcome):
        to(line)
    return json.dumps(summary(outcome))


def journeys_of(options: Options) -> Journeys:
    """What is ridden; reads all tracks and says which are left out. Raises CannotRun when there is none."""
    try:
        journeys = Journeys(options)
    except OSError as error:
        raise CannotRun(str(error)) from error
    for name, reason in journeys.library.skipped.items():
        say(f"skipped {name}: {reason}")
    if options.tracks is not None and not journeys.library.tracks:
        raise CannotRun(f"no track to ride in {options.tracks}")
    if not options.quiet:
        what = "generated roads" if options.tracks is None else f"{len(journeys.library.tracks)} tracks"
        say(f"{journeys.riders} riders on {what}, {options.watchers_for(journeys.riders)} of them watched")
    return journeys


async def _ride(fleet: Fleet, options: Options, meanwhile: Meanwhile | None) -> int | None:
    """Ride to the end, or until patience ends; what `meanwhile` found, if there was any."""
    riding = asyncio.create_task(fleet.ride(), name="fleet")
    progress = asyncio.create_task(_progress(fleet, options), name="progress")
    beside = asyncio.ensure_future(meanwhile(fleet)) if meanwhile is not None else None
    try:
        await _ended(riding, beside, _patience(options))
        return await _result_of(beside)
    finally:
        for task in (riding, progress, beside):
            if task is not None:
                task.cancel()
        await asyncio.gather(riding, progress, *([beside] if beside is not None else []), return_exceptions=True)


async def _ended(riding: asyncio.Task[None], beside: "asyncio.Future[int] | None", patience: float | None) -> None:
    """Until riding has ended, or takes too long; raises at once when what goes on beside it fails."""
    began = time.monotonic()
    if beside is not None:
        both: set[asyncio.Future[Any]] = {riding, beside}
        await asyncio.wait(both, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if beside.done():
            beside.result()
    left = None if patience is None else max(0.0, patience - (time.monotonic() - began))
    await asyncio.wait({riding}, timeout=left)
    if riding.done():
        _raise_failure(riding)
    else:
        say("riding takes too long and is given up; what is unanswered stays so")


async def _result_of(beside: "asyncio.Future[int] | None") -> int | None:
    """What it found; it has a little while to end, since riding is over."""
    if beside is None:
        return None
    await asyncio.wait({beside}, timeout=_PATIENCE_BESIDE_SECONDS)
    return beside.result() if beside.done() else 0


def _raise_failure(riding: asyncio.Task[None]) -> None:
    """An account that is refused is the operator's to mend; everything else is a fault of ours."""
    try:
        riding.result()
    except BaseExceptionGroup as group:
        refused = group.subgroup(SignInFailed)
        if refused is None:
            raise
        raise CannotRun(f"cannot sign in: {refused.exceptions[0]}") from group


def _patience(options: Options) -> float | None:
    """Seconds after which riding is given up; None for never."""
    if options.forever or options.give_up_seconds is not None:
        return options.give_up_seconds
    if options.speedup is not None and options.within is None:
        return None
    return _PATIENCE * (options.within or (DEFAULT_WITHIN_SECONDS if options.tracks else options.seconds)) + 60


async def _check(fleet: Fleet, options: Options, database_url: str) -> list[Verdict]:
    try:
        connection = await asyncpg.connect(database_url, command_timeout=60)
    except (OSError, asyncpg.PostgresError) as error:
        raise CannotRun(f"the database cannot be reached to check in: {error}") from error
    try:
        witness = Witness(connection)
        await witness.settle([ledger.track_id for ledger in fleet.ledgers], options.settle_seconds, say)
        if options.sabotage is not None:
            damaged = max(fleet.ledgers, key=lambda ledger: ledger.acknowledged_count)
            say(await witness.sabotage(options.sabotage, damaged))
        return [await witness.verdict(ledger) for ledger in fleet.ledgers]
    finally:
        await connection.close()


async def _progress(fleet: Fleet, options: Options) -> None:
    """A line now and then, in plain words."""
    if options.quiet:
        return
    began = time.monotonic()
    while True:
        await asyncio.sleep(_ENDLESS_PROGRESS_SECONDS if options.forever else _PROGRESS_SECONDS)
        acknowledged = fleet.totals.acknowledged + sum(ledger.acknowledged_count for ledger in fleet.ledgers)
        unanswered = sum(ledger.count(State.SENT) for ledger in fleet.ledgers)
        total = sum(len(ledger.track.fixes) for ledger in fleet.ledgers)
        of_total = "" if options.forever else f" of {total}"
        say(
            f"{time.monotonic() - began:5.0f} s  {fleet.riding} riding, {fleet.connected} sockets  "
            f"{acknowledged}{of_total} fixes acknowledged, {unanswered} unanswered, {fleet.reconnects} reconnects"
        )


async def main(options: Options) -> int:
    """Run and print; the exit status: 0 sound, 1 missing, twice or different, 2 could not run."""
    try:
        outcome = await replay(options)
    except CannotRun as reason:
        say(str(reason))
        return 2
    result = show(outcome)
    print(result, flush=True)
    return 0 if outcome.sound or not options.check else 1
