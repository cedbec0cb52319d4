"""What every other test takes for granted: servers and databases of its own."""

import asyncpg
import pytest
import redis.asyncio

from server.stack import PostgresServer, RedisServer
from tests.support import eventually
from tests.support.databases import Databases


async def test_a_test_has_a_migrated_database_of_its_own(database_url: str, databases: Databases) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE only_here (id int)")
    assert await connection.fetchval("SELECT to_regclass('tracks')") == "tracks"
    await connection.close()
    with databases.migrated() as another_url:
        another = await asyncpg.connect(another_url)
        assert await another.fetchval("SELECT to_regclass('only_here')") is None
        await another.close()


async def test_a_database_is_dropped_though_somebody_is_connected(databases: Databases) -> None:
    with databases.empty() as url:
        connection = await asyncpg.connect(url)
    await eventually(connection.is_closed)
    connection.terminate()


@pytest.mark.parametrize("_turn", range(17))
async def test_a_test_finds_its_redis_database_empty(redis_url: str, _turn: int) -> None:
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


async def test_own_servers_are_running_and_apart_from_the_shared_ones(
    own_redis: RedisServer, own_postgres: PostgresServer, redis_url: str, empty_database_url: str
) -> None:
    await eventually(own_redis.is_healthy)
    await eventually(own_postgres.is_healthy)
    assert own_redis.url.rpartition("/")[0] not in redis_url
    assert str(own_postgres.port) not in empty_database_url


async def test_eventually_says_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match="last: 0"):
        await eventually(lambda: 0, timeout=0.02)


async def test_eventually_returns_what_came_true() -> None:
    seen = iter([0, 0, 7])
    assert await eventually(lambda: next(seen)) == 7
