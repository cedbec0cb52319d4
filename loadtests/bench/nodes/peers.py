"""The servers whose rooms reach over several nodes, and how each is started."""

import sys

from loadtests.bench.wire.bench import EVENT_JSON, Bench, Recipe
from loadtests.bench.wire.nodejs import node_command
from loadtests.bench.wire.results import NODE, OURS, SHARDED


def _ours(bench: Bench, port: int) -> list[str]:
    server = [sys.executable, "-m", "loadtests.bench.nodes.server"]
    return [*server, f"node{port}", str(port), bench.stack.redis_url, EVENT_JSON]


def _classic(bench: Bench, port: int) -> list[str]:
    return [*node_command(), str(port), bench.stack.redis_url, EVENT_JSON]


def _sharded(bench: Bench, port: int) -> list[str]:
    return [*_classic(bench, port), "sharded"]


ROOMS = {OURS: Recipe(OURS, _ours), NODE: Recipe(NODE, _classic), SHARDED: Recipe(SHARDED, _sharded)}
"""By peer: rooms and emits between nodes, without the rest of a node."""
