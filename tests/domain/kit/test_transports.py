"""A connection that is lost under uvloop shows as such, whatever moment it is lost in."""

import pytest
import redis
import uvloop

from domain.db.engine import means_unavailable
from domain.kit.redis_clients import create_redis
from domain.kit.transports import is_closed_transport
from server.stack import RedisServer


def test_a_write_to_a_connection_that_uvloop_has_closed_is_a_lost_connection(own_redis: RedisServer) -> None:
    async def write_after_the_end() -> None:
        async with create_redis(own_redis.url, name="test", timeout_seconds=20) as client:
            connection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            await connection.connect()
            connection._writer.transport.abort()
            with pytest.raises(redis.ConnectionError) as lost:
                await connection.send_command("PING")
            cause = lost.value.__cause__
            assert isinstance(cause, RuntimeError)
            assert is_closed_transport(cause)
            assert means_unavailable(cause)
            await connection.disconnect()

    uvloop.run(write_after_the_end())


def test_other_faults_stay_faults() -> None:
    assert not is_closed_transport(RuntimeError("a fault of ours"))
    assert not means_unavailable(RuntimeError("a fault of ours"))
