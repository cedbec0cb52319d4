"""Brings a database to the newest schema; starting many nodes at once is safe, the first one does the work.

The migrations are found beside this module, so that they run from an installed package as well as from a checkout.
"""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
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

    No limit of time applies: a migration takes as long as it takes, also between two statements.
    """
    engine = create_engine(
        database_url,
        pool_size=1,
        statement_timeout_seconds=0,
        command_timeout_seconds=None,
        idle_in_transaction_seconds=0,
    )
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
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def known_revisions() -> list[str]:
    """The revisions of the schema that this version knows, its own first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


async def revision_of(engine: AsyncEngine) -> str | None:
    """The revision of a database's schema, None when it has none yet. Raises what the database raises."""
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
