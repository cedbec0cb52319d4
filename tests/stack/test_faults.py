"""The faults that other tests do to servers, as a client sees them."""

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from server.stack import PostgresServer, PrivateServer, RedisServer
from tests.support import eventually


def client_of(server: RedisServer, *, seconds: float = 20) -> redis.asyncio.Redis:
    """A client that waits so long for an answer, and asks once."""
    return redis.asyncio.from_url(
        server.url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0)
    )


async def test_a_killed_redis_refuses_and_returns_with_what_it_acknowledged(own_redis: RedisServer) -> None:
    async with client_of(own_redis) as client:
        for number in range(50):
            await client.rpush("numbers", number)
        own_redis.kill()
        assert own_redis.pid is None
        with pytest.raises(redis.ConnectionError):
            await client.ping()
        assert own_redis.start()
        assert await client.llen("numbers") == 50


async def test_a_paused_redis_lets_its_clients_wait(own_redis: RedisServer) -> None:
    async with client_of(own_redis) as patient, client_of(own_redis, seconds=0.3) as client:
        await patient.ping()
        own_redis.pause()
        with pytest.raises(redis.TimeoutError):
            await client.ping()
        own_redis.resume()
        assert await patient.ping()


async def test_a_refusing_redis_resets_connections_until_it_is_started(own_redis: RedisServer) -> None:
    async with client_of(own_redis) as client:
        own_redis.refuse()
        for _ in range(3):
            with pytest.raises(redis.ConnectionError):
                await client.ping()
        own_redis.start()
        assert await client.ping()


async def test_a_killed_postgres_closes_its_connections_and_returns(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    await connection.execute("CREATE TABLE kept (id int)")
    await connection.execute("INSERT INTO kept VALUES (1)")
    own_postgres.kill()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await connection.execute("INSERT INTO kept VALUES (2)")
    connection.terminate()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(own_postgres.url)
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("SELECT array_agg(id) FROM kept") == [1]
    await connection.close()


async def test_a_paused_postgres_answers_nobody_on_any_connection(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.url, command_timeout=0.3)
    own_postgres.pause()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1")
    with pytest.raises(TimeoutError):
        await asyncpg.connect(own_postgres.url, timeout=0.3)
    own_postgres.resume()
    again = await asyncpg.connect(own_postgres.url)
    assert await again.fetchval("SELECT 1") == 1
    await again.close()
    connection.terminate()


async def test_a_refusing_postgres_resets_connections_until_it_is_started(own_postgres: PostgresServer) -> None:
    own_postgres.refuse()
    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await asyncpg.connect(own_postgres.url)
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.url)
    await connection.close()


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
@pytest.mark.parametrize("kind", ["own_redis", "own_postgres"])
async def test_a_stop_works_whatever_was_done_before(fault: str, kind: str, request: pytest.FixtureRequest) -> None:
    server: PrivateServer = request.getfixturevalue(kind)
    getattr(server, fault)()
    server.stop()
    assert server.pid is None
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs Linux")
async def test_servers_for_tests_do_not_outlive_the_test_process(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from tests.support.servers import new_redis; "
        "server = new_redis(pathlib.Path(sys.argv[1])); server.start(); print(server.pid, flush=True); input()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdin=PIPE, stdout=PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert RedisServer(tmp_path).pid == pid
    process.kill()
    await process.wait()
    await eventually(lambda: RedisServer(tmp_path).pid is None)
