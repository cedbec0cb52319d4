"""The whole way of a position over a Redis Cluster, and what nodes say of it."""

from pathlib import Path

import httpx

from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, pair_of, site
from tests.e2e.test_main_job import test_a_position_is_seen_on_another_node_and_stored_once as see_and_store
from tests.support import eventually
from tests.support.redis_topologies import RedisCluster


async def test_a_position_goes_its_way_over_a_cluster(
    database_url: str, redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    with site(database_url, redis_cluster.url, tmp_path) as running:
        nodes = await pair_of(running)
        running.worker()
        await see_and_store(nodes)
        async with httpx.AsyncClient(base_url=nodes.one.url, timeout=ANSWERED_WITHIN_SECONDS) as client:

            async def all_is_well() -> bool:
                metrics = (await client.get("/metrics")).text
                assert "throttlecove_bus_connected 1.0" in metrics
                assert "throttlecove_rooms_connected 1.0" in metrics
                ready = await client.get("/ready")
                assert (ready.status_code, ready.json()["status"]) == (200, "healthy"), ready.text
                return True

            await eventually(all_is_well, timeout=30)
            redis_cluster.masters()[0].kill()

            async def says_so() -> bool:
                answer = (await client.get("/ready")).json()
                return answer["status"] != "healthy" and answer["checks"]["redis"]["status"] == "degraded"

            await eventually(says_so, timeout=10)
