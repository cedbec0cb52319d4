"""The monthly partitions of `track_points`: made standalone and attached, so that recording never waits for them.

`CREATE TABLE … PARTITION OF` would lock the parent against everybody; attaching only keeps out other changes to its
structure. Any number of processes may ask for the same month at once: one makes it, the others wait and find it.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

_LOCK = 0x7C0F7
"""Advisory lock under which one process makes partitions; the month is its second half."""
FIRST_MONTH = 197001
LAST_MONTH = 999912


@lru_cache(maxsize=1024)
def is_month(number: int) -> bool:
    """Whether this is year * 100 + month of a month that can have a partition."""
    return FIRST_MONTH <= number <= LAST_MONTH and 1 <= number % 100 <= 12


def partition_name(month: int) -> str:
    """The table that holds the points of tracks of this month. Raises ValueError for what is no month."""
    if not is_month(month):
        raise ValueError("months are written as year * 100 + month")
    return f"track_points_{month}"


def months_from(now: datetime, count: int) -> list[int]:
    """The month of `now` and those that follow, `count` of them."""
    first = now.year * 12 + now.month - 1
    return [number // 12 * 100 + number % 12 + 1 for number in range(first, first + count)]


async def ensure_partition(connection: Any, month: int) -> bool:
    """Make and attach the month's partition unless it is there; whether it was made now.

    `connection` is asyncpg's, outside a transaction. Raises what asyncpg raises; nothing is left half-made.
    """
    name = partition_name(month)
    if await _is_attached(connection, name):
        return False
    # The look above has a transaction of its own: one that has looked at the catalogue before it waited for the lock
    # may go on believing what it saw, because Postgres hears of changes when it locks a table for the first time.
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK, month)
        if await _is_attached(connection, name):
            return False
        # The CHECK saves the scan that attaching would make, and would cost every later row: it goes at once.
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS {name} (LIKE track_points INCLUDING ALL);"
            f"ALTER TABLE {name} ADD CONSTRAINT {name}_month CHECK (track_month = {month});"
            f"ALTER TABLE track_points ATTACH PARTITION {name} FOR VALUES IN ({month});"
            f"ALTER TABLE {name} DROP CONSTRAINT {name}_month"
        )
    return True


async def _is_attached(connection: Any, name: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_inherits"
            " WHERE inhparent = to_regclass('track_points') AND inhrelid = to_regclass($1))",
            name,
        )
    )
