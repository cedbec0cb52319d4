"""The Locust scenarios, run as `make load` runs them, against a node and a worker of this test."""

import asyncio
import csv
import sys
from pathlib import Path

from tests.e2e.processes import Site

WANTED = ["location:update", "location:batch", "map:watch", "from send to sight", "reconnect", "from batch to computed"]


async def test_riders_watchers_readers_and_tunnels_without_a_failure(one_site: Site, tmp_path: Path) -> None:
    node = await one_site.node()
    one_site.worker()
    command = [sys.executable, "-m", "loadtests.load", "--url", node.url, "--csv", str(tmp_path / "load")]
    process = await asyncio.create_subprocess_exec(
        *command, "--users", "10", "--per-second", "10", "--seconds", "10", stdout=asyncio.subprocess.PIPE
    )
    table = (await process.communicate())[0].decode()
    assert process.returncode == 0, table
    with (tmp_path / "load_stats.csv").open() as file:
        counts = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
    missing = [name for name in WANTED if not counts.get(name)]
    assert not missing, f"{missing}\n{table}"
