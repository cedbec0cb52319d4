"""Two kinds of trouble with Postgres, and they must not be confused: it refuses this data, or it cannot store anything.

Only data errors (SQLSTATE class 22) and violated constraints (23) condemn a record. Everything else (gone, paused,
full, read-only, a missing table, no permission) says nothing about the data: it waits, however long that takes.
"""

import asyncpg

REFUSED_CLASSES = ("22", "23")

DATABASE_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, and TimeoutError
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Whatever asyncpg raises."""


class MissingPartition(Exception):
    """These months (year * 100 + month) may have no partition."""

    def __init__(self, months: set[int]) -> None:
        super().__init__(*sorted(months))
        self.months = months


class UnexpectedDuplicate(Exception):
    """A fix that had to be new is there already: the track's row does not agree with its points."""


def refusal_of(error: Exception) -> str | None:
    """The SQLSTATE when Postgres refused the data itself, or None."""
    state = getattr(error, "sqlstate", None)
    if isinstance(error, asyncpg.PostgresError) and state is not None and state.startswith(REFUSED_CLASSES):
        return str(state)
    return None


def is_missing_partition(error: Exception) -> bool:
    """Whether a row found no partition: a check violation that names no constraint."""
    return isinstance(error, asyncpg.CheckViolationError) and not error.constraint_name
