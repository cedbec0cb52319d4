"""Every acknowledged fix is in PostGIS exactly once, as it was sent, and nothing is that was never sent."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from loadtests.stress.ride import UNITS, Ride

STORED_SECONDS = 60.0
"""How long the worker may take for what is left when everything is well again."""
_POLL_SECONDS = 0.3
_UNFINISHED = "SELECT count(*) FROM tracks WHERE id = ANY($1::uuid[]) AND finished_at IS NOT NULL AND NOT recompute"
_POINTS = """
SELECT seq, round(extract(epoch FROM timestamp) * 1000)::bigint, round(latitude * 100000)::int,
       round(longitude * 100000)::int
FROM track_points WHERE track_id = $1 ORDER BY seq
"""


async def check(database_url: str, rides: Sequence[Ride], wrong: Callable[[str], None]) -> dict[str, Any]:
    """Wait until the tracks are finished, compare, and tell of what is wrong; how many fixes there were."""
    connection = await asyncpg.connect(database_url)
    try:
        finished = await _finished(connection, rides)
        if finished < len(rides):
            wrong(f"{len(rides) - finished} tracks are not finished after {STORED_SECONDS:.0f} s")
        stored = [await _compare(connection, ride, wrong) for ride in rides]
    finally:
        await connection.close()
    return {
        "fixes": sum(len(ride.fixes) for ride in rides),
        "acknowledged": sum(ride.kept for ride in rides),
        "stored": sum(stored),
        "tracks_finished": finished,
    }


async def _finished(connection: "asyncpg.Connection[Any]", rides: Sequence[Ride]) -> int:
    deadline = time.monotonic() + STORED_SECONDS
    while True:
        finished: int = await connection.fetchval(_UNFINISHED, [ride.track_id for ride in rides])
        if finished == len(rides) or time.monotonic() > deadline:
            return finished
        await asyncio.sleep(_POLL_SECONDS)


async def _compare(connection: "asyncpg.Connection[Any]", ride: Ride, wrong: Callable[[str], None]) -> int:
    """How many fixes of a ride are stored."""
    rows = [(row[0], row[1], (row[2], row[3])) for row in await connection.fetch(_POINTS, ride.track_id)]
    for fault in faults_of(ride, rows):
        wrong(fault)
    return len(rows)


def faults_of(ride: Ride, rows: Sequence[tuple[int, int, tuple[int, int]]]) -> list[str]:
    """What is wrong with the stored rows (number, time, place) of a ride."""
    stored = [row[0] for row in rows]
    sent = {fix.seq: (fix.seq, fix.timestamp, fix.place) for fix in ride.fixes}
    missing = [fix.seq for fix in ride.fixes if fix.kept and fix.seq not in set(stored)]
    twice = sorted({seq for seq in stored if stored.count(seq) > 1})
    other = [row[0] for row in rows if sent.get(row[0]) != row]
    told = {"lost": missing, "stored twice": twice, "not as they were sent": other}
    return [f"rider {ride.rider}: fixes {seqs[:10]} are {what}" for what, seqs in told.items() if seqs]


assert UNITS == 100_000  # the statement rounds to the same
