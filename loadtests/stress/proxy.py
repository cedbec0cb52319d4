"""The network between one node and Redis: TCP connections that can be held up, delayed, refused, reset or forgotten.

One listener for each server behind it. Sentinel and Redis Cluster tell their clients where the servers are: what they
say is rewritten on its way, so that a node meets nothing but its own proxy.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from domain.kit.tasks import TaskOwner
from server.stack.ports import HOST, free_port

_CHUNK = 1 << 16
_LARGEST_HELD = 1 << 20
_SUBSCRIBES = b"SUBSCRIBE"
_LINE_END = b"\r\n"


class _Pipe:
    """One connection of the node."""

    def __init__(self, node: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.node = node
        self.server = server
        self.hears = False
        """Something was subscribed on it."""
        self.forgotten = False
        """Nothing passes any more, and nobody is told."""
        self.deaf = False
        """Nothing reaches the node any more."""

    def abort(self) -> None:
        self.node.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Stands between a node and the servers that listen on `ports`."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._behind = {port: free_port() for port in ports}
        self._told = _Told(self._behind)
        self._listeners: list[asyncio.Server] = []
        self._pipes: set[_Pipe] = set()
        self._tasks = TaskOwner("proxy")
        self._passing = asyncio.Event()
        self._passing.set()
        self._delay = 0.0
        self._refusing = False

    async def __aenter__(self) -> Self:
        for port, own in self._behind.items():
            self._listeners.append(await asyncio.start_server(self._serving(port), HOST, own))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        await self._tasks.close()

    def port(self, behind: int) -> int:
        """Where the server on this port is reached through the proxy."""
        return self._behind[behind]

    def told(self, data: bytes) -> bytes:
        """What a server says, with the proxy's ports where it names its own."""
        return self._told.rewritten(data)

    @property
    def connections(self) -> int:
        """Connections that the node has open; of those that were forgotten nobody knows."""
        return sum(not pipe.forgotten for pipe in self._pipes)

    # Faults

    def hold(self) -> None:
        """Nothing passes, in either direction; connections stay open and new ones are accepted."""
        self._passing.clear()

    def go_on(self) -> None:
        """What was held passes."""
        self._passing.set()

    def reset(self) -> None:
        """Reset every connection that there is."""
        for pipe in list(self._pipes):
            pipe.abort()

    def forget(self) -> None:
        """Nothing passes on the connections that there are, for ever, and nobody is told; new ones are as usual."""
        for pipe in self._pipes:
            pipe.forgotten = True

    def deafen(self) -> int:
        """Connections on which something was subscribed hear nothing any more; how many these are."""
        for pipe in self._pipes:
            pipe.deaf |= pipe.hears
        return sum(pipe.deaf for pipe in self._pipes)

    def slow_down(self, seconds: float) -> None:
        """What passes is late by so much; 0 ends it."""
        self._delay = seconds

    def refuse(self, refusing: bool) -> None:
        """Reset everything and whoever connects, or stop doing so."""
        self._refusing = refusing
        if refusing:
            self.reset()

    # Passing on

    def _serving(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.start(self._serve(port, reader, writer), str(port))

        return serve

    async def _serve(self, port: int, from_node: asyncio.StreamReader, node: asyncio.StreamWriter) -> None:
        try:
            if self._refusing:
                raise ConnectionRefusedError
            from_server, server = await asyncio.open_connection(HOST, port)
        except OSError:
            node.transport.abort()
            return
        pipe = _Pipe(node, server)
        self._pipes.add(pipe)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(pipe, from_node), name="proxy:up")
                group.create_task(self._down(pipe, from_server), name="proxy:down")
        except* (OSError, _EndedError):
            pass
        finally:
            self._pipes.discard(pipe)
            pipe.abort()

    async def _up(self, pipe: _Pipe, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            pipe.hears |= _SUBSCRIBES in data
            await self._may_pass(pipe, downwards=False)
            pipe.server.write(data)
            await pipe.server.drain()
        raise _EndedError

    async def _down(self, pipe: _Pipe, reader: asyncio.StreamReader) -> None:
        held = b""
        while data := await reader.read(_CHUNK):
            await self._may_pass(pipe, downwards=True)
            held += data
            if not held.endswith(_LINE_END) and len(held) < _LARGEST_HELD:
                continue  # the rest of it is on its way: an address may be in two parts
            pipe.node.write(self.told(held))
            held = b""
            await pipe.node.drain()
        raise _EndedError

    async def _may_pass(self, pipe: _Pipe, *, downwards: bool) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        await self._passing.wait()
        if pipe.forgotten or (downwards and pipe.deaf):
            await asyncio.Event().wait()


class _Told:
    """Replaces the ports of servers, as Redis tells them, by those of the proxy."""

    def __init__(self, behind: dict[int, int]) -> None:
        self._replaced = {str(port).encode(): str(own).encode() for port, own in behind.items()}
        # In MOVED, CLUSTER NODES: 127.0.0.1:7000@17000; in CLUSTER SLOTS, SENTINEL: a line of its own. Every port here
        # has five digits, so that no length changes.
        ports = b"|".join(self._replaced)
        self._pattern = re.compile(rb"(?<=[:\n])(%s)(?=[\r@,])" % ports)
        self._several = len(self._replaced) > 1

    def rewritten(self, data: bytes) -> bytes:
        """The data with the proxy's addresses."""
        if not self._several:
            return data
        return self._pattern.sub(lambda found: self._replaced[found[1]], data)


class _EndedError(Exception):
    """One end has closed."""
