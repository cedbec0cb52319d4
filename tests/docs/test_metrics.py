"""The page for operators lists every metric of ours that a node or a worker serves, and none that nobody serves."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from domain.kit.clock import SystemClock
from server.app import create_app
from server.nodes.exposition import UP
from server.nodes.giving import Handovers
from server.settings import Settings
from server.wiring import build
from workers.metrics import WorkerMetrics

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
# Not served before the stream was looked at, and Redis asked, for the first time.
LATER = {
    "throttlecove_nodes",
    "throttlecove_track_stream_bytes",
    "throttlecove_track_stream_lag_entries",
    "throttlecove_track_stream_lag_seconds",
}


def name_of(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


async def test_the_page_lists_what_is_served() -> None:
    node, worker = CollectorRegistry(), CollectorRegistry()
    create_app(build(Settings(), SystemClock(), node, "127.0.0.1:1"))
    Handovers(node)
    WorkerMetrics(worker)
    served = {name_of(metric) for registry in (node, worker) for metric in registry.collect()} | LATER | {UP}
    rows = re.findall(r"^\| `(throttlecove_\w+)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(served)
