"""What operators are told: that a node lives, whether it can serve, what is wrong and what to do; and its levels."""

from typing import Any

from redis.asyncio import Redis
from sqlalchemy import text

from domain.db.migrate import known_revisions
from domain.tracks.entries import ENTRY_FIELD, TRACK_STREAM, WRITERS_GROUP
from server.stack import RedisServer
from server.version import VERSION
from tests.server.conftest import Up
from tests.support.waiting import eventually


async def checks_of(up: Up, *, status: int = 200) -> dict[str, Any]:
    answer = await up.client.get("/ready")
    assert answer.status_code == status, answer.text
    return dict(answer.json()["checks"])


async def all_is_well(up: Up) -> Any:
    """The answer, once every check is healthy; on a busy machine one may be late for a while."""
    answer = await up.client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy"), answer.text
    return answer.json()


async def test_a_node_that_is_well_says_so_and_one_that_drains_sends_others_elsewhere(up: Up) -> None:
    alive = (await up.client.get("/health")).json()
    assert (alive["status"], alive["version"]) == ("healthy", VERSION)
    assert alive["uptime_seconds"] >= 0
    checks = (await eventually(lambda: all_is_well(up)))["checks"]
    assert set(checks) == {"database", "schema", "redis", "stream", "bus", "rooms", "hints"}
    for found in checks.values():
        assert found.pop("latency_ms") >= 0
        assert found == {"status": "healthy"}
    up.health.draining = True
    answer = await up.client.get("/ready")
    assert (answer.status_code, answer.json()["status"], answer.json()["draining"]) == (503, "unhealthy", True)
    assert (await up.client.get("/health")).status_code == 200


async def test_what_redis_and_postgres_lack_is_named_with_what_to_do(up: Up, own_redis: RedisServer) -> None:
    await eventually(lambda: all_is_well(up))
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("appendfsync", "everysec")
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.xgroup_create(TRACK_STREAM, WRITERS_GROUP, mkstream=True)
        await client.xadd(TRACK_STREAM, {ENTRY_FIELD: b"of 1970"}, id="60000-0")
    async with up.node.stores.engine.begin() as connection:
        before = {"revision": known_revisions()[-1]}
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), before)
    await eventually(lambda: what_they_lack_is_named(up))
    async with up.node.stores.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    schema = (await checks_of(up))["schema"]
    assert (schema["status"], schema["detail"].split(": ")[1]) == ("degraded", "update this node")
    async with up.node.stores.engine.begin() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    schema = (await checks_of(up))["schema"]
    assert schema["detail"] == "the database has no schema: run python -m server migrate"


async def what_they_lack_is_named(up: Up) -> bool:
    checks = await checks_of(up)
    assert checks["redis"]["status"] == "degraded"
    assert checks["redis"]["detail"].endswith("set appendfsync always, maxmemory-policy noeviction in redis.conf")
    assert checks["stream"]["status"] == "degraded"
    assert checks["stream"]["detail"].startswith("1 entries wait, the oldest for ")
    assert checks["schema"]["status"] == "unhealthy"
    assert checks["schema"]["detail"].endswith("run python -m server migrate")
    return True


async def test_metrics_show_the_levels_of_the_parts(up: Up, own_redis: RedisServer) -> None:
    async with Redis.from_url(own_redis.url) as client:
        await client.xgroup_create(TRACK_STREAM, WRITERS_GROUP, mkstream=True)
        await client.xadd(TRACK_STREAM, {ENTRY_FIELD: b"of 1970"}, id="60000-0")
    await eventually(lambda: are_young(up, "bus_heartbeat_age", "control_age"))
    await up.node.stream_watch.look()
    samples = await samples_of(up)
    assert samples["throttlecove_bus_connected"] == 1
    assert samples["throttlecove_track_stream_bytes"] > 0
    assert samples["throttlecove_track_stream_lag_entries"] == 1
    assert samples["throttlecove_track_stream_lag_seconds"] > 1e9
    for name in ("control_untold", "recorder_pending_fixes", "hub_topics", "hub_listeners"):
        assert samples[f"throttlecove_{name}"] == 0
    others = {"throttlecove_bus_losses_total", "throttlecove_sockets", "process_resident_memory_bytes"}
    assert others <= set(samples)


async def test_other_nodes_are_told_of_all_that_this_one_hears(up: Up) -> None:
    await eventually(lambda: all_is_well(up))
    stores, figures = up.node.stores, up.node.stores.register._figures
    before = figures().subscriptions
    stores.hints.listen("user:somebody")
    stores.rooms.occupied("/", "a room")
    assert figures().subscriptions == before + 2
    await eventually(lambda: (heard_ms := figures().heard_ms) is not None and heard_ms < 5000)
    await eventually(lambda: are_young(up, "hints_heartbeat_age"))


async def are_young(up: Up, *ages: str) -> bool:
    """Whether these ages are below five seconds."""
    samples = await samples_of(up)
    return all(samples[f"throttlecove_{age}_seconds"] < 5 for age in ages)


async def samples_of(up: Up) -> dict[str, float]:
    """The samples without labels."""
    answer = await up.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines if "{" not in name}
