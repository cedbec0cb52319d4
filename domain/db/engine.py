"""The way to Postgres: a pool of asyncpg connections under SQLAlchemy, with limits on every wait.

Promises that a database which is gone, paused or refusing is noticed within seconds and shows as `Unavailable`, that
the pool heals by itself, and that no error shows a value of a row or of a parameter. Transactions, SQL and what to do
about a refusal are left to the stores and services.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy import event, exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.kit.errors import Unavailable
from domain.kit.transports import is_closed_transport

_log = structlog.get_logger(__name__)

_RETRY_AFTER_MS = 2_000
_UNAVAILABLE_STATES = ("08", "53", "57", "40001", "40P01", "55P03", "25006", "25P03")
"""Prefixes of SQLSTATE: connection, resources, operator intervention, conflicts to retry, a read-only standby, a
transaction that stood still for too long."""

_REFUSED_STATES = ("28", "3D", "42501", "55000")
"""The same, when they come in answer to a login: wrong or without rights, no such database, one that is closed to all.
An operator who restores a database, or changes a password, does not mean to end every node."""

_VALUES = re.compile(
    r"\nDETAIL:.*|(invalid input (?:syntax for type [\w ]+|for query argument \$\d+)): .*",
    re.DOTALL,
)
"""Where messages of Postgres and asyncpg go on with what was in a row or a parameter."""

UNAVAILABLE_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, and TimeoutError
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    exc.TimeoutError,
    exc.DBAPIError,
    RuntimeError,  # uvloop's, of a transport that is closed
)
"""What may be raised when Postgres is away; `means_unavailable` tells these cases from faults of a statement."""


def create_engine(
    url: str,
    *,
    pool_size: int = 5,
    max_overflow: int = 15,
    connect_timeout_seconds: float = 2,
    command_timeout_seconds: float | None = 2.5,
    statement_timeout_seconds: float = 30,
    idle_in_transaction_seconds: float = 10,
    slow_query_seconds: float = 1,
    application_name: str = "throttlecove",
) -> AsyncEngine:
    """A pool for a libpq-style address (`postgresql://user:password@host:port/database?sslmode=…`).

    `command_timeout_seconds` bounds how long this side waits for an answer (a paused database never answers);
    `statement_timeout_seconds` makes Postgres itself give up. `idle_in_transaction_seconds` has it end a transaction
    that nobody goes on with: the locks of a node that stands still, or has gone without a word, would be kept until it
    wakes up, or until the network says so hours later. 0 switches either off.
    """
    dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)

    async def connect() -> Any:
        return await asyncpg.connect(
            dsn,
            timeout=connect_timeout_seconds,
            command_timeout=command_timeout_seconds,
            server_settings={
                "application_name": application_name,
                "statement_timeout": str(int(statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": str(int(idle_in_transaction_seconds * 1000)),
                "timezone": "UTC",
            },
        )

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=connect_timeout_seconds,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "handle_error", _give_up_silent_connection)
    event.listen(engine.sync_engine, "handle_error", _hide_values)
    _log_slow_queries(engine, slow_query_seconds)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Do not hand out a connection whose end was already noticed; the pool then opens another, at no round trip."""
    if connection.driver_connection.is_closed():
        raise exc.DisconnectionError("closed by the server")


def _give_up_silent_connection(context: ExceptionContext) -> None:
    """A connection that did not answer in time is closed at once: a rollback, or a farewell, would only wait again."""
    if isinstance(context.original_exception, OSError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
        pooled = None if context.connection is None else context.connection.connection.driver_connection
        if pooled is not None:
            pooled.terminate()


def _hide_values(context: ExceptionContext) -> None:
    """Postgres shows the row or value that it refused: addresses, hashes. What is logged of an error must not."""
    cause = context.original_exception.__cause__
    if isinstance(cause, asyncpg.PostgresError):
        cause.detail = None
    if isinstance(cause, asyncpg.DataError):
        cause.__cause__ = cause.__context__ = None  # of a codec, with the value
    for error in (cause, context.original_exception, context.sqlalchemy_exception):
        if error is not None:
            error.args = tuple(_VALUES.sub(r"\1", str(argument)) for argument in error.args)


def _log_slow_queries(engine: AsyncEngine, slow_seconds: float) -> None:
    def before(_conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        context.began = time.perf_counter()

    def after(_conn: Any, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        seconds = time.perf_counter() - context.began
        if seconds > slow_seconds:
            _log.warning("slow_query", seconds=round(seconds, 3), sql=sql)

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)


def means_unavailable(error: BaseException) -> bool:
    """Whether this says that Postgres is gone, starting, full or too slow, and not that a statement was wrong."""
    if isinstance(error, exc.DBAPIError):
        if error.connection_invalidated:
            return True
        cause = error.orig.__cause__ if error.orig is not None else None
        return cause is not None and (means_unavailable(cause) or (error.statement is None and _refuses_login(cause)))
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith(_UNAVAILABLE_STATES)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # asyncpg's errors about values and settings are ValueErrors
    return isinstance(error, OSError | exc.TimeoutError | asyncpg.InternalClientError) or is_closed_transport(error)


def _refuses_login(error: BaseException) -> bool:
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_REFUSED_STATES)


def _reason_of(error: BaseException) -> dict[str, str]:
    """What to log: the kind of error, and its SQLSTATE where Postgres gave one."""
    cause = error.orig.__cause__ if isinstance(error, exc.DBAPIError) and error.orig is not None else None
    told = cause or error
    sqlstate = getattr(told, "sqlstate", None)
    return {"error": type(told).__name__} | ({"sqlstate": sqlstate} if sqlstate else {})


@asynccontextmanager
async def unavailable_when_down() -> AsyncIterator[None]:
    """Turns the signs of an absent database into `Unavailable`; every other error passes through."""
    try:
        yield
    except UNAVAILABLE_ERRORS as error:
        if not means_unavailable(error):
            raise
        _log.warning("database_unavailable", **_reason_of(error))
        raise Unavailable("the database does not answer; try again", retry_after_ms=_RETRY_AFTER_MS) from error
