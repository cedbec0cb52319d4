"""The system under test: private stores, nodes whose way to Redis can be disturbed, a worker; all real processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from loadtests.stress import redises
from loadtests.stress.proxy import Proxy
from loadtests.stress.redises import Redises
from loadtests.stress.schedule import Topology
from loadtests.verify.processes import HARNESS_SETTINGS, DidNotStart, Process
from server.stack import PostgresServer
from server.stack.ports import HOST, free_port

LIFE_SECONDS = 15.0
"""How long a position lives: shorter than by default, so that dots are seen to end within a run."""
SETTINGS: dict[str, str] = {
    **HARNESS_SETTINGS,
    "THROTTLECOVE_WORKER_CLAIM_IDLE_SECONDS": "3",
    # Everybody registers at the start: the costs that protect passwords are for production.
    "THROTTLECOVE_PASSWORD_MEMORY_KIB": "64",
    "THROTTLECOVE_PASSWORD_PASSES": "1",
    "THROTTLECOVE_LOG_FORMAT": "json",
}
"""What differs from the defaults."""
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.1


class Node:
    """One node: its process, and the proxy between it and Redis."""

    def __init__(self, number: int, proxy: Proxy, environment: Mapping[str, str], logs: Path) -> None:
        self.number = number
        self.name = f"node-{number + 1}"
        self.proxy = proxy
        self.port = free_port()
        self._environment = {**environment, "THROTTLECOVE_NODE_NAME": self.name}
        self._logs = logs
        self._process: Process | None = None
        self.paused = False
        self.meant_to_run = False
        self.starts = 0

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the process; `until_ready` waits for it."""
        arguments = ["run", "--host", HOST, "--port", str(self.port)]
        self._process = Process(self.name, arguments, self._environment, self._logs)
        self.meant_to_run = True
        self.starts += 1

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is flushed."""
        self.meant_to_run = False
        await self._end(signal.SIGKILL)

    async def end(self) -> int:
        """SIGTERM, and wait; the exit status."""
        self.meant_to_run = False
        return await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP."""
        self.paused = True
        self._required.signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self.paused = False
        self._required.signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise DidNotStart when it has ended by itself."""
        if self.meant_to_run and not self.running:
            raise DidNotStart(f"{self.name} has ended:\n{self._required.tail()}")

    async def until_ready(self) -> None:
        """Wait until it says that it can serve. Raises DidNotStart."""
        try:
            async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient(timeout=5) as http:
                while not await self._says_ready(http):
                    self.check()
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise DidNotStart(f"{self.name} is not ready:\n{self._required.tail()}") from error

    async def stop(self) -> None:
        """End it, whatever state it is in."""
        self.meant_to_run = False
        if self._process is not None:
            await self._process.stop()

    async def _says_ready(self, http: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await http.get(f"{self.url}/ready")).status_code == httpx.codes.OK
        return False

    async def _end(self, number: signal.Signals) -> int:
        self._required.signal(number)
        return await self._required.ended()

    @property
    def _required(self) -> Process:
        if self._process is None:
            raise LookupError(f"{self.name} was never started")
        return self._process


class System:
    """Everything that is disturbed, below one directory."""

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int,
        topology: Topology,
        life_seconds: float = LIFE_SECONDS,
        postgres: PostgresServer | None = None,
    ) -> None:
        """`postgres`: one that runs already, with all tables; without it one is made here."""
        self.directory = directory
        self.logs = directory / "logs"
        self.life_seconds = life_seconds
        self.postgres = postgres or PostgresServer(directory / "postgres", durable=False, ephemeral=True)
        self._postgres_is_ours = postgres is None
        self.redises: Redises = redises.create(topology, directory)
        self.nodes: list[Node] = []
        self.worker: Process | None = None
        self._wanted = nodes
        self._workers = 0
        self._end = AsyncExitStack()

    @property
    def database_url(self) -> str:
        """Where Postgres is."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Where Redis is, past every proxy."""
        return self.redises.url()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._end.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end.aclose()

    async def _start(self) -> None:
        self.logs.mkdir(parents=True)
        self._end.push_async_callback(self.redises.stop)
        await self.redises.start()
        if self._postgres_is_ours:
            self._end.push_async_callback(asyncio.to_thread, self.postgres.remove)
            self.postgres.start()
            await self._migrate()
        for number in range(self._wanted):
            proxy = await self._end.enter_async_context(Proxy(self.redises.ports))
            address = self.redises.url(proxy.port)
            self.nodes.append(Node(number, proxy, self._environment(address), self.logs))
        self._end.push_async_callback(self._stop_processes)
        for node in self.nodes:
            node.start()
        self.start_worker()
        await asyncio.gather(*(node.until_ready() for node in self.nodes))

    def start_worker(self) -> None:
        """Start a worker, the first one or the next."""
        self._workers += 1
        self.worker = Process(f"worker-{self._workers}", ["worker"], self._environment(self.redis_url), self.logs)

    async def kill_worker(self) -> None:
        """SIGKILL the worker."""
        if self.worker is not None:
            self.worker.signal(signal.SIGKILL)
            await self.worker.ended()
            self.worker = None

    def check(self) -> None:
        """Raise DidNotStart when a process has ended by itself."""
        for node in self.nodes:
            node.check()
        if self.worker is not None and not self.worker.running:
            raise DidNotStart(f"the worker has ended:\n{self.worker.tail()}")

    def _environment(self, redis_url: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("THROTTLECOVE_")}
        return {
            **inherited,
            **SETTINGS,
            "THROTTLECOVE_POSITION_LIFE_SECONDS": str(self.life_seconds),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": redis_url,
        }

    async def _migrate(self) -> None:
        migrate = [sys.executable, "-m", "server", "migrate"]
        environment = self._environment(self.redis_url)
        done = await asyncio.to_thread(
            subprocess.run, migrate, check=False, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise DidNotStart(f"the database was not migrated:\n{done.stderr}")

    async def _stop_processes(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes), *([self.worker.stop()] if self.worker else []))
