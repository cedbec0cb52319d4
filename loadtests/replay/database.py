"""PostGIS as the witness: waits until tracks are finished, reads what is stored, and, to prove the check, breaks it.

Speaks SQL to the tables directly; needs nothing of the server but its database.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from loadtests.replay.judge import Row, TrackRow, Verdict, judge
from loadtests.replay.ledger import Ledger, State

_STACK_RECORD = Path(__file__).resolve().parents[2] / ".data" / "stack.json"
_POLL_SECONDS = 0.5
_MONTH = re.compile(r"\((\d{6})\)|'(\d{6})'")

_UNFINISHED = """
SELECT track.id, stored.id IS NOT NULL AS known, coalesce(stored.stored, 0) AS fixes
FROM unnest($1::uuid[]) AS track (id)
LEFT JOIN tracks stored ON stored.id = track.id
WHERE stored.id IS NULL OR stored.finished_at IS NULL OR stored.recompute
"""
_POINTS = """
SELECT seq, timestamp, latitude, longitude, altitude, flags FROM track_points WHERE track_id = $1 ORDER BY seq
"""
_TRACK = "SELECT finished_at IS NOT NULL AND NOT recompute AS finished, distance_metres FROM tracks WHERE id = $1"
_PARTITIONS = """
SELECT pg_get_expr(partition.relpartbound, partition.oid) AS bound
FROM pg_inherits JOIN pg_class partition ON partition.oid = inhrelid WHERE inhparent = 'track_points'::regclass
"""
_COPIED = (
    "track_id, timestamp, latitude, longitude, altitude, accuracy, speed, heading, lean, battery, flags, received_at"
)
_SABOTAGE = {
    "lose": "DELETE FROM track_points WHERE track_id = $1 AND seq = $2",
    "move": "UPDATE track_points SET latitude = latitude + 1e-7 WHERE track_id = $1 AND seq = $2",
}
SABOTAGES = ("lose", "duplicate", "move")


class Witness:
    """Reads the database that the server and its worker wrote."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    async def settle(self, ids: Sequence[UUID], seconds: float, report: Callable[[str], None]) -> int:
        """Wait until every track is finished and computed; how many are not after `seconds`."""
        deadline = time.monotonic() + seconds
        reported = None
        while rows := await self._connection.fetch(_UNFINISHED, list(ids)):
            if time.monotonic() > deadline:
                return len(rows)
            if reported != len(rows):
                reported = len(rows)
                report(f"waiting for {reported} of {len(ids)} tracks to be stored and finished")
            await asyncio.sleep(_POLL_SECONDS)
        return 0

    async def verdict(self, ledger: Ledger) -> Verdict:
        """What is stored of one ridden track, against its ledger."""
        rows = [Row(*record) for record in await self._connection.fetch(_POINTS, ledger.track_id)]
        track = await self._connection.fetchrow(_TRACK, ledger.track_id)
        return judge(ledger, rows, None if track is None else TrackRow(*track))

    async def sabotage(self, kind: str, ledger: Ledger) -> str:
        """Truly lose, duplicate or move one acknowledged fix in the table; a sentence that says which."""
        acknowledged = [seq for seq, state in enumerate(ledger.states) if state == State.ACKNOWLEDGED]
        if not acknowledged:
            raise LookupError("nothing was acknowledged, so there is nothing to damage")
        seq = acknowledged[len(acknowledged) // 2]
        if kind == "duplicate":
            await self._duplicate(ledger.track_id, seq, len(ledger.states))
        else:
            await self._connection.execute(_SABOTAGE[kind], ledger.track_id, seq)
        return f"sabotage: {kind} fix {seq} of {ledger.track.name}"

    async def _duplicate(self, track_id: UUID, seq: int, free_seq: int) -> None:
        """The same row in another month's partition, where the key allows it; else under a number nobody used."""
        month = await self._connection.fetchval("SELECT month FROM tracks WHERE id = $1", track_id)
        bounds = [record["bound"] for record in await self._connection.fetch(_PARTITIONS)]
        months = {int(first or second) for bound in bounds for first, second in _MONTH.findall(bound)}
        other = min(months - {month}, default=None)
        statement = (
            f"INSERT INTO track_points (track_month, seq, {_COPIED}) "
            f"SELECT $3, $4, {_COPIED} FROM track_points WHERE track_id = $1 AND seq = $2"
        )
        await self._connection.execute(
            statement, track_id, seq, month if other is None else other, free_seq if other is None else seq
        )


def find_database(given: str | None) -> str | None:
    """The database url: as given, from DATABASE_URL, or of the private stack when one runs here."""
    return given or os.environ.get("DATABASE_URL") or _of_private_stack()


def _of_private_stack() -> str | None:
    try:
        address = json.loads(_STACK_RECORD.read_text())
    except (OSError, ValueError):
        return None
    return str(address["database_url"]) if isinstance(address, dict) and "database_url" in address else None


def changed_settings() -> dict[str, Any]:
    """Settings of the server's processes that differ from their defaults, as this environment gives them."""
    command = [sys.executable, "-m", "server", "settings", "--changed", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return {"unknown": f"`server settings` ended with status {done.returncode}"}
    return found if isinstance(found, dict) else {}
