"""Server and worker processes for tests: started as operators start them, killed as machines do."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from server.stack.ports import free_port
from tests.support import eventually

_STARTED_WITHIN_SECONDS = 90.0
_STOPPED_WITHIN_SECONDS = 60.0
"""Bounds of what never ends; the machine may be busy."""
ANSWERED_WITHIN_SECONDS = 30.0
"""By HTTP, of a node that works. The same kind of bound."""

RELAXED = {
    # Many riders of one test come from one address.
    "THROTTLECOVE_AUTH_REQUESTS_PER_MINUTE": "100000",
    "THROTTLECOVE_PUBLIC_REQUESTS_PER_WINDOW": "100000",
    "THROTTLECOVE_SIGNED_IN_REQUESTS_PER_WINDOW": "100000",
    "THROTTLECOVE_SOCKETS_PER_ADDRESS": "10000",
    # They register all the time: the costs that protect passwords are for production.
    "THROTTLECOVE_PASSWORD_MEMORY_KIB": "64",
    "THROTTLECOVE_PASSWORD_PASSES": "1",
    "THROTTLECOVE_LOG_FORMAT": "json",
}


class Process:
    """One of our commands as a process of its own, its log in a file."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is flushed."""
        self._send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, without waiting for the end."""
        self._send(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM, as an operator would; the exit status."""
        if self.runs:
            self._send(signal.SIGCONT)
            self.terminate()
        return self.end()

    def end(self) -> int:
        """Wait for its end; the exit status."""
        assert self._process is not None
        if self.runs:
            try:
                self._process.wait(_STOPPED_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self._process.returncode

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, number)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


class Node(Process):
    """A server process on a port of its own."""

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str, *options: str) -> None:
        self.port = free_port()
        super().__init__(
            ["server", "run", "--host", "127.0.0.1", "--port", str(self.port), *options],
            {**environment, "THROTTLECOVE_NODE_NAME": name},
            directory / f"{name}.log",
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> None:
        """Wait until it serves."""

        async def serves() -> bool:
            if not self.runs:
                raise RuntimeError(f"the server ended:\n{self.tail()}")
            try:
                return (await client.get(f"{self.url}/ready")).status_code == 200
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as client:
            await eventually(serves, timeout=_STARTED_WITHIN_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # its parent may have seen to it just now
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


class Machine(Node):
    """Several nodes behind one port, and their parent."""

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str, nodes: int) -> None:
        # Where they find one another goes with the test, also when all of them are killed.
        super().__init__({**environment, "TMPDIR": str(directory)}, directory, name, "--nodes", str(nodes))

    def children(self) -> list[psutil.Process]:
        """The nodes' processes, those that have ended left out."""
        every = psutil.Process(self.pid).children() if self.runs else []
        return [child for child in every if _is_alive(child)]

    def kill(self) -> None:
        """All of it at once."""
        every = self.children()
        super().kill()
        for child in every:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(every)

    async def serves(self) -> None:
        """Wait until one of the nodes serves."""
        await super().ready()

    async def ready(self) -> None:
        """Wait until all of them do."""
        await self.serves()

        async def all_serve() -> bool:
            found = (await client.get(f"{self.url}/ready")).json()["nodes"]
            assert all(node["status"] != "unhealthy" for node in found.values()), found
            return True

        async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as client:
            await eventually(all_serve, timeout=_STARTED_WITHIN_SECONDS)


class Worker(Process):
    """A worker process."""

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str = "worker") -> None:
        super().__init__(["server", "worker"], environment, directory / f"{name}.log")


class Site:
    """Nodes and workers on one database and one Redis."""

    def __init__(self, database_url: str, redis_url: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self._directory = directory
        self._environment = {**RELAXED, "DATABASE_URL": database_url, "REDIS_URL": redis_url, **settings}
        self.processes: list[Process] = []

    async def node(self, name: str = "node") -> Node:
        """Start another node and wait until it serves."""
        (node,) = await self.nodes(name)
        return node

    async def nodes(self, *names: str, **settings: str) -> list[Node]:
        """Start several nodes at once, with settings of their own."""
        nodes = [Node({**self._environment, **settings}, self._directory, name) for name in names]
        for node in nodes:
            node.start()
            self.processes.append(node)
        for node in nodes:
            await node.ready()
        return nodes

    async def machine(self, name: str, nodes: int, **settings: str) -> Machine:
        """Start several nodes behind one port."""
        machine = Machine({**self._environment, **settings}, self._directory, name, nodes)
        machine.start()
        self.processes.append(machine)
        await machine.ready()
        return machine

    def worker(self, name: str = "worker") -> Worker:
        """Start a worker."""
        worker = Worker(self._environment, self._directory, name)
        worker.start()
        self.processes.append(worker)
        return worker


@dataclass(frozen=True)
class Pair:
    """A site with two nodes that serve."""

    site: Site
    one: Node
    two: Node


async def pair_of(running: Site) -> Pair:
    """Start two nodes of a site."""
    one, two = await running.nodes("one", "two")
    return Pair(running, one, two)


@contextmanager
def site(
    database_url: str, redis_url: str, directory: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """A site whose processes end with it; the logs are shown when one of them had an unhandled error."""
    running = Site(database_url, redis_url, directory, settings or {})
    try:
        yield running
    finally:
        for process in reversed(running.processes):
            if process.runs:
                process.resume()
                process.kill()
