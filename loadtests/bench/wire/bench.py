"""What every figure needs at hand, and how a server and a generator are brought up for one measurement."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from loadtests.bench.private_stack import Addresses
from loadtests.bench.wire.accounts import Rider, make_riders
from loadtests.bench.wire.generator import Generator
from loadtests.bench.wire.measuring import Cores
from loadtests.bench.wire.processes import Child
from loadtests.bench.wire.workspace import Workspace
from server.stack.ports import free_port

EVENT = {"id": 184467, "name": "Anna on the pass", "latitude": 48.13743, "longitude": 11.57549}
"""The payload of a broadcast: 80 bytes of JSON."""
EVENT_JSON = json.dumps(EVENT, separators=(",", ":"))
MOST_RIDERS = 8000


@dataclass(frozen=True)
class Server:
    """A server under test that serves."""

    child: Child
    port: int

    @property
    def pid(self) -> int:
        """Its process."""
        return self.child.pid


@dataclass(frozen=True)
class Recipe:
    """How a server is started: its command for a port, and what it has in its environment."""

    name: str
    command: "Callable[[Bench, int], list[str]]"
    path: str = "/"
    """Answers once it serves."""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Durations:
    """How long loads last, in seconds, and how many sockets some have."""

    load: float
    warm_up: float
    connects: int
    idle_sockets: int
    map_load: float


FULL = Durations(load=3.0, warm_up=0.7, connects=2000, idle_sockets=MOST_RIDERS, map_load=6.0)
QUICK = Durations(load=1.0, warm_up=0.3, connects=500, idle_sockets=2000, map_load=3.0)


class Bench:
    """One run of the benchmark."""

    def __init__(self, workspace: Workspace, cores: Cores, stack: Addresses, durations: Durations) -> None:
        self.workspace = workspace
        self.cores = cores
        self.stack = stack
        self.durations = durations
        self.busiest = 0.0
        """The generator's largest share of its core."""

    @functools.cached_property
    def riders(self) -> list[Rider]:
        """Riders who may connect to a node of ours."""
        return make_riders(self.stack.database_url, MOST_RIDERS)

    @contextlib.contextmanager
    def server(self, recipe: Recipe) -> Iterator[Server]:
        """A server on its core, from when it serves to the end of the block."""
        with self.process(recipe.name, recipe.command, recipe.environment, self.cores.server) as (child, port):
            child.wait_until_serving(f"http://127.0.0.1:{port}{recipe.path}")
            yield Server(child, port)
            child.check()

    @contextlib.contextmanager
    def process(
        self,
        name: str,
        command: "Callable[[Bench, int], list[str]]",
        environment: Mapping[str, str],
        cores: Iterable[int],
    ) -> Iterator[tuple[Child, int]]:
        """Any process of ours, with a port for it; killed at the end of the block."""
        port = free_port()
        log = self.workspace.directory / f"{name}-{port}.log"
        child = Child(name, command(self, port), cores, log, {**self.stack.environment, **environment})
        try:
            yield child, port
        finally:
            child.kill()
            log.unlink(missing_ok=True)

    @contextlib.contextmanager
    def generator(self, server: Server) -> Iterator[Generator]:
        """A load generator for this server."""
        made = Generator(self.workspace.generator, server.port, self.cores.others, self.workspace.directory)
        with made:
            yield made
        self.busiest = max(self.busiest, made.busiest)
