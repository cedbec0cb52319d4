"""A TCP proxy before Redis that can go silent, for faults of the network between a node and Redis."""

import asyncio
from types import TracebackType
from typing import Self


class _Pipe:
    """One client's connection through the proxy."""

    def __init__(self, down: asyncio.StreamWriter) -> None:
        self.down = down
        self.subscriber = False
        self.deaf = False


class Proxy:
    """Forwards to Redis on `port`; `cut` swallows everything in both directions, connections stay open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        """From now on nothing gets through."""
        self._cut = True

    def mend(self) -> None:
        """New connections get through; the old ones are reset, as a firewall that forgot them would."""
        self._cut = False
        for pipe in self._pipes:
            pipe.down.transport.abort()

    async def deafen_subscribers(self) -> None:
        """Connections on which something was subscribed hear nothing any more; new ones do."""
        for pipe in self._pipes:
            pipe.deaf = pipe.subscriber
        assert any(pipe.deaf for pipe in self._pipes)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = _Pipe(writer)
        self._pipes.add(pipe)
        upstream: asyncio.StreamWriter | None = None
        try:
            from_redis, upstream = await asyncio.open_connection("127.0.0.1", self._port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(reader, upstream, pipe))
                group.create_task(self._down(from_redis, writer, pipe))
        except* (OSError, _EndedError):
            pass
        finally:
            self._pipes.discard(pipe)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, pipe: _Pipe) -> None:
        while data := await reader.read(1 << 16):
            pipe.subscriber |= b"SSUBSCRIBE" in data
            if not self._cut:
                upstream.write(data)
                await upstream.drain()
        raise _EndedError

    async def _down(self, from_redis: asyncio.StreamReader, writer: asyncio.StreamWriter, pipe: _Pipe) -> None:
        while data := await from_redis.read(1 << 16):
            if not self._cut and not pipe.deaf:
                writer.write(data)
                await writer.drain()
        raise _EndedError


class _EndedError(Exception):
    """One end has closed."""
