"""The whole way of a position over Redis behind TLS: nodes and a worker as processes, on the loop that they run on."""

from pathlib import Path

import httpx

from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, pair_of, site
from tests.e2e.test_main_job import test_a_position_is_seen_on_another_node_and_stored_once as see_and_store
from tests.support import eventually
from tests.support.redis_tls import running_with_tls


async def test_a_position_goes_its_way_through_tls(database_url: str, tmp_path: Path) -> None:
    with (
        running_with_tls(tmp_path / "tls", "sentinel") as servers,
        site(database_url, servers.url(), tmp_path) as running,
    ):
        nodes = await pair_of(running)
        running.worker()
        await see_and_store(nodes)
        async with httpx.AsyncClient(base_url=nodes.one.url, timeout=ANSWERED_WITHIN_SECONDS) as client:

            async def all_is_well() -> bool:
                ready = await client.get("/ready")
                assert (ready.status_code, ready.json()["status"]) == (200, "healthy"), ready.text
                return True

            await eventually(all_is_well, timeout=30)
