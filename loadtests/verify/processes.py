"""The system under test: a private stack in its own directory, nodes and a worker, all started by their commands."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_LINES = 20

HARNESS_SETTINGS: dict[str, str] = {
    "THROTTLECOVE_AUTH_REQUESTS_PER_MINUTE": "100000",
    "THROTTLECOVE_PUBLIC_REQUESTS_PER_WINDOW": "100000",
    "THROTTLECOVE_SIGNED_IN_REQUESTS_PER_WINDOW": "100000",
    "THROTTLECOVE_SOCKETS_PER_ADDRESS": "10000",
}
"""All riders come from one address here; nothing else differs from the defaults."""


class DidNotStart(Exception):
    """A part of the system did not come up; the message has the end of its log."""


class Process:
    """One `python -m server …` with its log in a file."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                _command(*arguments),
                env=dict(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the harness, which stops the others in order
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; the exit status."""
        return await asyncio.to_thread(self._process.wait)

    async def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        if not self.running:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
        await self.ended()

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


class System:
    """The stack, the nodes and the worker of one verification, below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = directory / "stack"
        self._logs = directory / "logs"
        self.environment: dict[str, str] = {}
        self.nodes: list[Process] = []
        self.urls: list[str] = []
        self.worker: Process | None = None
        self._workers = 0

    @property
    def redis_url(self) -> str:
        """Where its Redis is."""
        return self.environment["REDIS_URL"]

    @property
    def database_url(self) -> str:
        """Where its database is."""
        return self.environment["DATABASE_URL"]

    @property
    def logs(self) -> Path:
        """Where the logs are."""
        return self._logs

    async def start(self, nodes: int) -> None:
        """Stack, tables, nodes and worker, until every node is ready. Raises DidNotStart."""
        self._logs.mkdir(parents=True)
        address = json.loads(await self._run("stack", "start", "--dir", str(self._stack), "--json"))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("THROTTLECOVE_")}
        self.environment = {
            **inherited,
            **HARNESS_SETTINGS,
            "DATABASE_URL": address["database_url"],
            "REDIS_URL": address["redis_url"],
        }
        await self._run("migrate")
        for number, port in enumerate(_free_ports(nodes), start=1):
            arguments = ["run", "--host", "127.0.0.1", "--port", str(port)]
            self.nodes.append(Process(f"node-{number}", arguments, self.environment, self._logs))
            self.urls.append(f"http://127.0.0.1:{port}")
        self.start_worker()
        await asyncio.gather(*(self._until_ready(*pair) for pair in zip(self.nodes, self.urls, strict=True)))

    def start_worker(self) -> Process:
        """Start a worker, the first one or the next."""
        self._workers += 1
        self.worker = Process(f"worker-{self._workers}", ["worker"], self.environment, self._logs)
        return self.worker

    async def changed_settings(self) -> dict[str, Any]:
        """Every setting of the processes that differs from its default."""
        changed: dict[str, Any] = json.loads(await self._run("settings", "--changed", "--json"))
        return changed

    def check(self) -> None:
        """Raise DidNotStart when a process has ended by itself."""
        for process in (*self.nodes, *([self.worker] if self.worker else [])):
            if not process.running:
                raise DidNotStart(f"{process.name} has ended:\n{process.tail()}")

    async def stop(self) -> None:
        """Stop everything, riders' side first; also what is only half started."""
        for process in (*self.nodes, *([self.worker] if self.worker else [])):
            await process.stop()
        if self._stack.exists():
            await self._run("stack", "stop", "--dir", str(self._stack))

    async def _until_ready(self, node: Process, url: str) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient() as http:
                while not await _is_ready(http, url):
                    if not node.running:
                        raise DidNotStart(f"{node.name} ended while starting:\n{node.tail()}")
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise DidNotStart(f"{node.name} was not ready within {_READY_SECONDS:.0f} s:\n{node.tail()}") from error

    async def _run(self, *arguments: str) -> str:
        """Standard output of a command; what it says on standard error is passed on."""
        process = await asyncio.create_subprocess_exec(
            *_command(*arguments), env=self.environment or None, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise DidNotStart(f"`server {' '.join(arguments[:2])}` ended with status {process.returncode}")
        return output.decode()


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/ready", timeout=5)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server", *arguments]


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held until the last is found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
