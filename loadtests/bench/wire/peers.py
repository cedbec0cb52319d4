"""The servers that are measured, and how each is started."""

import sys

from loadtests.bench.wire.bench import EVENT_JSON, Bench, Recipe
from loadtests.bench.wire.nodejs import node_command
from loadtests.bench.wire.results import FLOOR, NODE, OURS, PLAIN

NODE_SETTINGS = {
    # Everybody comes from one address.
    "THROTTLECOVE_SOCKETS_PER_ADDRESS": "20000",
    # As in production; people look at the other format.
    "THROTTLECOVE_LOG_FORMAT": "json",
}
"""What differs from the defaults in the nodes of ours."""


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"loadtests.bench.wire.servers.{name}", *arguments]


def _floor(bench: Bench, port: int) -> list[str]:
    return [str(bench.workspace.floor), str(port), f'42["event",{EVENT_JSON}]']


def _node(bench: Bench, port: int) -> list[str]:
    return [*node_command(), str(port), bench.stack.redis_url, EVENT_JSON]


def _plain(_bench: Bench, port: int) -> list[str]:
    return _module("plain", str(port), EVENT_JSON)


def _ours_rooms(_bench: Bench, port: int) -> list[str]:
    return _module("ours", "rooms", str(port), EVENT_JSON)


def _ours_gateway(_bench: Bench, port: int) -> list[str]:
    return _module("ours", "gateway", str(port), EVENT_JSON)


def _ours_node(_bench: Bench, port: int) -> list[str]:
    return [sys.executable, "-m", "server", "run", "--host", "127.0.0.1", "--port", str(port)]


def worker_command(_bench: Bench, _port: int) -> list[str]:
    """A worker of ours."""
    return [sys.executable, "-m", "server", "worker"]


FLOOR_SERVER = Recipe(FLOOR, _floor)
NODE_SERVER = Recipe(NODE, _node)
PLAIN_SERVER = Recipe(PLAIN, _plain)
OUR_ROOMS = Recipe(OURS, _ours_rooms)
"""The wire with rooms and emits, without the rest of a node."""
OUR_GATEWAY = Recipe(OURS, _ours_gateway)
"""The wire and the gateway, with one event whose handler is empty."""
OUR_NODE = Recipe(OURS, _ours_node, path="/ready", environment=NODE_SETTINGS)
"""A whole node."""
