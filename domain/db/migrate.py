"""Brings a database to the newest schema; starting many nodes at once is safe, the first one does the work.

The migrations are found beside this module, so that they run from an installed package as well as from a checkout.
"""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import create_engine

_LOCK = 0x7C0FE
"""The advisory lock under which one process migrates and the others wait."""


def migrate(database_url: str) -> None:
    """Migrate from code that runs no event loop (a command, a fixture). Raises what the database raises."""
    asyncio.run(migrate_database(database_url))


async def migrate_database(database_url: str) -> None:
    """Bring the database to the newest schema, waiting for another process that is at it already.

    Neither the statement limit nor the command limit applies: a migration takes as long as it takes.
    """
    engine = create_engine(database_url, pool_size=1, statement_timeout_seconds=0, command_timeout_seconds=None)
    try:
        await _migrate(engine)
    finally:
        await engine.dispose()


async def _migrate(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        # Held by the connection, not by a transaction: a later step may need to commit in between.
        await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        await connection.commit()
        try:
            await connection.run_sync(_upgrade)
            await connection.commit()
        finally:
            await connection.invalidate()  # ends the Postgres session, and the lock with it, whatever happened


def _upgrade(connection: Connection) -> None:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
