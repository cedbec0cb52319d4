"""A door before several nodes, as a load balancer is one: new sessions go to the node named, the others to theirs."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from domain.kit.tasks import TaskOwner

_SESSION = re.compile(rb"[?&]sid=([a-z0-9-]+)\.")
_MOST_BYTES = 1 << 16


class Door:
    """Forwards TCP connections; the first request on each decides where to."""

    def __init__(self, ports: Mapping[str, int], tasks: TaskOwner) -> None:
        self.leads_to = next(iter(ports))
        """The node, by name, that gets new sessions."""
        self.url = ""
        self._ports = ports
        self._tasks = tasks

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            session = _SESSION.search(head.partition(b"\r\n")[0])
            name = session.group(1).decode() if session else self.leads_to
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._ports[name])
            up_writer.write(head)
            self._tasks.start(_pass_on(reader, up_writer), "up")
            await _pass_on(up_reader, writer)
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_MOST_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def door(ports: Mapping[str, int]) -> AsyncIterator[Door]:
    """A door that leads to the first of these nodes (name to port)."""
    async with TaskOwner("door") as tasks:
        made = Door(ports, tasks)
        server = await asyncio.start_server(
            lambda reader, writer: tasks.start(made.serve(reader, writer), "connection") and None, "127.0.0.1", 0
        )
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield made
        finally:
            server.close()
