"""Settings reach the parts that they are for: what clients are told is what is enforced, in nodes and workers."""

from pathlib import Path

import pytest

from server.commands.worker import options_of
from server.settings import Settings
from server.stack import RedisServer
from tests.e2e.phones import fix, phone, register
from tests.e2e.processes import site


async def test_a_batch_may_have_as_many_fixes_as_clients_are_told(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    with site(database_url, own_redis.url, tmp_path, {"THROTTLECOVE_BATCH_FIXES": "3"}) as running:
        node = await running.node()
        async with phone(await register(node.url)) as rider:
            assert rider.ready["limits"]["batch_fixes"] == 3
            track = await rider.begin_track()
            fixes = [fix(seq, 46.5, 8.3) for seq in range(4)]
            refused = await rider.ask("location:batch", {"track_id": track, "fixes": fixes})
            assert (refused["error"]["code"], refused["error"]["field"]) == ("too_large", "fixes")
            assert refused["error"]["message"].startswith("at most 3 fixes")
            kept = await rider.ask("location:batch", {"track_id": track, "fixes": fixes[:3]})
            assert kept["accepted"] == 3


def test_a_worker_waits_for_redis_and_postgres_as_long_as_the_settings_say() -> None:
    options = options_of(
        Settings(redis_timeout_seconds=0.6, database_connect_timeout_seconds=3, database_statement_timeout_seconds=45)  # type: ignore[call-arg]
    )
    assert (options.redis_timeout_seconds, options.block_seconds) == (0.6, pytest.approx(0.3))
    assert (options.connect_timeout_seconds, options.statement_timeout_seconds) == (3, 45)
