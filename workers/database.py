"""One Postgres connection of a worker, opened when it is needed and given up when it fails.

Workers speak to asyncpg itself, because COPY is not part of SQLAlchemy. Every wait has an end: a Postgres that is
paused or gone shows as an error, and a worker that is paused in the middle of a transaction lets go of its locks.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from domain.kit.transports import is_closed_transport


@dataclass(frozen=True)
class DatabaseOptions:
    """Where Postgres is and how long to wait for it."""

    url: str
    connect_timeout_seconds: float = 5
    statement_timeout_seconds: float = 30
    """Postgres gives up a statement after this."""
    answer_timeout_seconds: float = 40
    """This side gives up after this; longer than the statement timeout, so that it means a silent server."""
    lock_timeout_seconds: float = 10
    idle_in_transaction_seconds: float = 10


class Database:
    """A connection that is remade after every failure."""

    def __init__(self, options: DatabaseOptions, *, name: str, set_up: str = "") -> None:
        """`name` is shown in pg_stat_activity; `set_up` is run on each new connection."""
        self._options = options
        self._name = name
        self._set_up = set_up
        self._connection: Any = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """The connection, for one user at a time. After any failure in the block it is closed for good."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        try:
            yield self._connection
        except BaseException as error:
            self._discard()
            if is_closed_transport(error):
                raise ConnectionResetError("the connection was closed by the server") from error
            raise

    async def _connect(self) -> Any:
        options = self._options
        connection = await asyncpg.connect(
            options.url.replace("postgresql+asyncpg://", "postgresql://", 1),
            timeout=options.connect_timeout_seconds,
            command_timeout=options.answer_timeout_seconds,
            server_settings={
                "application_name": self._name,
                "timezone": "UTC",
                "statement_timeout": _milliseconds(options.statement_timeout_seconds),
                "lock_timeout": _milliseconds(options.lock_timeout_seconds),
                "idle_in_transaction_session_timeout": _milliseconds(options.idle_in_transaction_seconds),
            },
        )
        try:
            if self._set_up:
                await connection.execute(self._set_up)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def aclose(self) -> None:
        """Close the connection at once."""
        self._discard()


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
