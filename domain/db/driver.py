"""asyncpg itself, for what SQLAlchemy has no words for (cursors, COPY, statements that may take their time), and for
questions that are asked so often that its way to them, several times their own cost, counts.

The pool stays SQLAlchemy's. A connection on which anything failed is given up, because what it was doing is not over.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down


@asynccontextmanager
async def asking(engine: AsyncEngine) -> AsyncIterator[Any]:
    """An asyncpg connection outside of any transaction: each statement sees one moment. Raises Unavailable."""
    async with unavailable_when_down(), engine.connect() as connection:
        try:
            yield (await connection.get_raw_connection()).driver_connection
        except BaseException:
            await connection.invalidate()
            raise


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[Any]:
    """An asyncpg connection in a transaction that sees one moment and changes nothing. Raises Unavailable."""
    async with _transaction(engine, isolation="repeatable_read", readonly=True) as driver:
        yield driver


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[Any]:
    """An asyncpg connection in a transaction, committed at the end of the block. Raises Unavailable."""
    async with _transaction(engine) as driver:
        yield driver


@asynccontextmanager
async def _transaction(engine: AsyncEngine, **options: Any) -> AsyncIterator[Any]:
    async with unavailable_when_down(), engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            async with driver.transaction(**options):
                yield driver
        except BaseException:
            await connection.invalidate()
            raise
