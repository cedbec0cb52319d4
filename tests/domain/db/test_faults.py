"""A Postgres that is killed, paused, refusing or slow, as the services see it: `Unavailable`, soon, and it heals."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import create_engine, means_unavailable, unavailable_when_down
from domain.kit.errors import Unavailable
from server.stack import PostgresServer
from tests.support import eventually

AT_MOST_SECONDS = 25.0
"""Less than five on a machine that has time; what has no limit would wait for a minute, or for ever."""
COMMAND_SECONDS = 2.5
"""What an engine waits for an answer, unless it is told otherwise."""


@pytest.fixture
async def engine(own_postgres: PostgresServer) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(own_postgres.url)
    yield engine
    await engine.dispose()


async def ask(engine: AsyncEngine, sql: str = "SELECT 1") -> None:
    async with unavailable_when_down(), engine.begin() as connection:
        await connection.execute(text(sql))


async def answers(engine: AsyncEngine, sql: str, times: int) -> list[object]:
    return list(await asyncio.gather(*(ask(engine, sql) for _ in range(times)), return_exceptions=True))


def pause(server: PostgresServer) -> None:
    server.pause()


def kill(server: PostgresServer) -> None:
    server.kill()


def refuse(server: PostgresServer) -> None:
    server.refuse()


def back(server: PostgresServer) -> None:
    server.resume()
    server.start()


FAULTS = pytest.mark.parametrize("fault", [kill, pause, refuse], ids=["killed", "paused", "refusing"])


@FAULTS
async def test_idle_connections_notice_and_heal(
    own_postgres: PostgresServer, engine: AsyncEngine, fault: Callable[[PostgresServer], None]
) -> None:
    assert await answers(engine, "SELECT pg_sleep(0.05)", 5) == [None] * 5
    fault(own_postgres)
    try:
        began = time.monotonic()
        refused = await answers(engine, "SELECT 1", 30)  # more than the pool has
        assert all(isinstance(each, Unavailable) and each.retry_after_ms for each in refused), refused
        assert time.monotonic() - began < AT_MOST_SECONDS
    finally:
        back(own_postgres)

    async def all_work() -> bool:
        return await answers(engine, "SELECT 1", 30) == [None] * 30

    await eventually(all_work, timeout=20)


REFUSALS = {
    "password": ("ALTER ROLE {user} PASSWORD 'another'", "ALTER ROLE {user} PASSWORD '{password}'"),
    "closed": ("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    "renamed": ("ALTER DATABASE {name} RENAME TO other", "ALTER DATABASE other RENAME TO {name}"),
}
"""What an operator may do to a database that is up, and how it is taken back."""


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_postgres_that_lets_nobody_in_is_unavailable_and_heals(
    own_postgres: PostgresServer, engine: AsyncEngine, refusal: str
) -> None:
    await ask(engine)
    address = urlsplit(own_postgres.url)
    names = {"user": address.username, "password": address.password, "name": address.path.strip("/")}
    begin, end = (statement.format(**names) for statement in REFUSALS[refusal])
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    for statement in (others, begin, others) if refusal != "renamed" else (others, begin):
        own_postgres.run_sql(statement, database="postgres")
    try:
        refused = await answers(engine, "SELECT 1", 5)
        assert all(isinstance(each, Unavailable) for each in refused), refused
    finally:
        own_postgres.run_sql(end, database="postgres")
    await eventually(lambda: works(engine))
    with pytest.raises(DBAPIError):
        await ask(engine, "SELECT lastval()")


async def test_a_silent_connection_costs_the_one_timeout(own_postgres: PostgresServer, engine: AsyncEngine) -> None:
    """Nobody waits for its farewell, too. The shortest of three counts: during the others the machine was busy."""
    shortest = math.inf
    for _ in range(3):
        await eventually(lambda: works(engine))
        own_postgres.pause()
        try:
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await ask(engine)
            shortest = min(shortest, time.monotonic() - began)
        finally:
            back(own_postgres)
        if shortest < 2 * COMMAND_SECONDS:
            break
    assert shortest < 2 * COMMAND_SECONDS
    await eventually(lambda: works(engine))


@FAULTS
async def test_statements_on_their_way_end_soon(
    own_postgres: PostgresServer, engine: AsyncEngine, fault: Callable[[PostgresServer], None]
) -> None:
    await ask(engine)
    async with unavailable_when_down(), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(settled(ask(engine, "SELECT pg_sleep(60)"))) for _ in range(3)]
        await eventually(lambda: sleeping(own_postgres, 3))
        fault(own_postgres)
        began = time.monotonic()
    assert time.monotonic() - began < AT_MOST_SECONDS
    back(own_postgres)

    assert all(isinstance(each.result(), Unavailable) for each in running)
    await eventually(lambda: works(engine))


async def settled(work: object) -> object:
    return (await asyncio.gather(work, return_exceptions=True))[0]  # type: ignore[call-overload]


async def sleeping(server: PostgresServer, number: int) -> bool:
    return server.run_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").strip() == str(number)


async def works(engine: AsyncEngine) -> bool:
    try:
        await ask(engine)
    except Unavailable:
        return False
    return True


async def test_a_statement_that_is_too_slow_is_unavailable_too(own_postgres: PostgresServer) -> None:
    engine = create_engine(own_postgres.url, statement_timeout_seconds=0.05)
    with pytest.raises(Unavailable):
        await ask(engine, "SELECT pg_sleep(60)")
    await eventually(lambda: works(engine))
    await engine.dispose()


async def test_who_stands_still_in_a_transaction_loses_it_and_its_locks(own_postgres: PostgresServer) -> None:
    lock = "SELECT pg_advisory_xact_lock(1)"
    sleeper = create_engine(own_postgres.url, idle_in_transaction_seconds=0.2)
    patient = create_engine(own_postgres.url, command_timeout_seconds=AT_MOST_SECONDS)
    with pytest.raises(Unavailable):
        async with unavailable_when_down(), sleeper.begin() as connection:
            await connection.execute(text(lock))
            await ask(patient, lock)
    await eventually(lambda: works(sleeper))
    await sleeper.dispose()
    await patient.dispose()


async def test_a_wrong_statement_or_value_is_no_outage(engine: AsyncEngine) -> None:
    for sql in ("SELEC", "SELECT 1 / 0", "SELECT 'x'::int", "SELECT * FROM missing"):
        with pytest.raises(DBAPIError):
            await ask(engine, sql)
    with pytest.raises(DBAPIError):
        async with unavailable_when_down(), engine.begin() as connection:
            await connection.execute(text("SELECT CAST(:value AS int)"), {"value": "not a number"})


async def test_raw_asyncpg_errors_are_told_apart(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    for statement, value in (("SELECT $1::int", "x"), ("SELECT 1 / $1::int", 0)):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as wrong:
            await connection.fetch(statement, value)
        assert not means_unavailable(wrong.value)
    own_postgres.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as gone:
        await connection.fetch("SELECT 1")
    assert means_unavailable(gone.value)
    connection.terminate()


async def test_other_errors_pass_through() -> None:
    for error in (ValueError("x"), ProgrammingError("x", None, Exception("x"))):
        with pytest.raises(type(error)):
            async with unavailable_when_down():
                raise error
