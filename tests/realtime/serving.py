"""A wire on a real uvicorn server on loopback, and clients that speak its protocol byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from domain.kit.errors import Problem
from realtime.wire.emitting import OtherNodes
from realtime.wire.interface import Endpoint, Socket
from realtime.wire.options import WireOptions
from realtime.wire.packets import Arguments
from realtime.wire.server import Wire, uvicorn_options
from tests.support.waiting import eventually

_QUERY = {"EIO": "4"}
WITHIN_SECONDS = 10.0
"""For what is promised within a second, and takes hundredths: a machine may stand still meanwhile. What does not happen
by itself is done after 20 s at the soonest, when pings are missed."""


class WireServer(uvicorn.Server):
    """uvicorn, stopping the wire first, as every server has to."""

    def __init__(self, config: uvicorn.Config, wire: Wire) -> None:
        super().__init__(config)
        self._wire = wire

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        self._wire.stop()
        await super().shutdown(sockets)


@dataclass
class Serving:
    """A server that is up."""

    wire: Wire
    server: WireServer
    port: int
    stopped: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket"

    def polling_url(self, **query: str) -> str:
        return f"{self.url}/socket.io/?{urlencode(_QUERY | {'transport': 'polling'} | query)}"

    async def stop(self) -> None:
        """Shut down as uvicorn does when it is told to exit."""
        self.stopped = True
        await self.server.shutdown()

    async def end(self) -> None:
        """The same without uvicorn's pauses, for tests of other things."""
        if self.stopped:
            return
        self.wire.stop()
        state = self.server.server_state
        for listener in self.server.servers:
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        await eventually(lambda: not state.connections and not state.tasks)
        for listener in self.server.servers:
            await listener.wait_closed()

    @asynccontextmanager
    async def raw(self, **options: Any) -> AsyncIterator["RawClient"]:
        """A WebSocket past Engine.IO's OPEN, not yet past CONNECT."""
        async with connect(self.websocket_url, proxy=None, **options) as websocket:
            client = RawClient(websocket)
            client.opening = json.loads((await client.frame())[1:])
            yield client

    @asynccontextmanager
    async def signed_in(self, auth: object = None, **options: Any) -> AsyncIterator["RawClient"]:
        """A WebSocket past CONNECT."""
        async with self.raw(**options) as client:
            await client.sign_in(auth)
            yield client


@asynccontextmanager
async def serving(
    endpoint: Endpoint | None,
    options: WireOptions | None = None,
    nodes: OtherNodes | None = None,
    prepare: Callable[[Wire], object] = lambda wire: None,
    **config: Any,
) -> AsyncIterator[Serving]:
    """Serve `endpoint` until the block ends; nothing of it is left then. `prepare` is given the wire before."""
    chosen = options or WireOptions()
    wire = Wire(chosen, endpoint, nodes=nodes)
    prepare(wire)
    settings = {"port": 0, "lifespan": "off", "log_config": None, "access_log": False, "timeout_graceful_shutdown": 30}
    loaded = uvicorn.Config(wire.app(), **{**settings, **uvicorn_options(wire.engine), **config})
    loaded.load()
    server = WireServer(loaded, wire)
    server.lifespan = loaded.lifespan_class(loaded)
    await server.startup()
    up = Serving(wire, server, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield up
    finally:
        await up.end()
        await wire.shutdown()


class RawClient:
    """Says exactly what the test says."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.opening: dict[str, Any] = {}
        self.ready: dict[str, Any] = {}

    async def frame(self, within: float = WITHIN_SECONDS) -> str:
        """The next frame; pings are answered and passed over."""
        async with asyncio.timeout(within):
            while True:
                data = await self.websocket.recv()
                if data != "2":
                    return data if isinstance(data, str) else data.decode()
                await self.websocket.send("3")

    async def send(self, *frames: str | bytes) -> None:
        for frame in frames:
            await self.websocket.send(frame)

    async def sign_in(self, auth: object = None) -> str:
        """CONNECT; the Socket.IO id."""
        await self.send("40" + (json.dumps(auth) if auth is not None else ""))
        answer = await self.frame()
        assert answer.startswith("40"), answer
        sid: str = json.loads(answer[2:])["sid"]
        return sid

    async def emit(self, name: str, payload: object, ack_id: int | None = None) -> None:
        await self.send(f"42{'' if ack_id is None else ack_id}" + json.dumps([name, payload]))

    async def event(self, name: str) -> Any:
        """The payload of the next frame, which is this event."""
        frame = await self.frame()
        assert frame.startswith("42"), frame
        got, payload = json.loads(frame[2:])
        assert got == name, frame
        return payload

    async def ack(self, ack_id: int) -> Any:
        """The answer in the next frame, which is the ack of this packet."""
        frame = await self.frame()
        head = f"43{ack_id}["
        assert frame.startswith(head), frame
        return json.loads(frame[len(head) - 1 :])[0]

    async def closed(self, within: float = WITHIN_SECONDS) -> int | None:
        """Read to the end; the close status that the server sent."""
        async with asyncio.timeout(within):
            try:
                while True:
                    await self.websocket.recv()
            except ConnectionClosed as end:
                return end.rcvd.code if end.rcvd else None


@dataclass
class Recorder:
    """An endpoint that lets everybody in, writes down what it is told, and echoes."""

    refuse: Problem | None = None
    gate: asyncio.Event | None = None
    """When set, CONNECTs wait for it."""
    sockets: list[Socket] = field(default_factory=list)
    opens: list[Socket] = field(default_factory=list)
    auths: list[bytes] = field(default_factory=list)
    events: list[tuple[str, list[Any]]] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)
    ends: list[tuple[Socket, str]] = field(default_factory=list)

    async def admit(self, socket: Socket, auth: Arguments) -> None:
        self.auths.append(bytes(auth.raw[0]) if len(auth) else b"")
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        self.sockets.append(socket)

    def opened(self, socket: Socket) -> None:
        self.opens.append(socket)

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        values = ["binary"] if arguments.binary else [json.loads(bytes(raw)) for raw in arguments.raw]
        self.events.append((name, values))
        if ack_id is not None:
            socket.acknowledge(ack_id, values[0] if values else None)

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        self.faults.append(problem)
        if ack_id is not None:
            socket.acknowledge(ack_id, {"error": {"code": problem.code.value}})

    def closed(self, socket: Socket, reason: str) -> None:
        self.ends.append((socket, reason))


class StalledClient:
    """A TCP client that opened a WebSocket, said what it had to say, and then reads nothing until it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, connect_packet: str = "40") -> AsyncIterator["StalledClient"]:
        """Open with a small receive buffer and CONNECT."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        try:
            writer.write(handshake(port))
            await reader.readuntil(b"\r\n\r\n")
            client = cls(reader, writer)
            client.write(masked(connect_packet.encode()))
            yield client
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def emit(self, name: str, payload: object) -> None:
        self.write(masked(("42" + json.dumps([name, payload])).encode()))

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def read_until(self, end: bytes, within: float = WITHIN_SECONDS) -> bytes:
        async with asyncio.timeout(within):
            while True:
                try:
                    return await self._reader.readuntil(end)
                except asyncio.LimitOverrunError as more:
                    await self._reader.readexactly(more.consumed)

    async def read_to_end(self, within: float = WITHIN_SECONDS) -> bytes:
        """Everything up to the end-of-file, which has to come in time."""
        async with asyncio.timeout(within):
            return await self._reader.read(-1)


def handshake(port: int, query: str = "EIO=4&transport=websocket", headers: str = "") -> bytes:
    """The request that opens a WebSocket."""
    return (
        f"GET /socket.io/?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{headers}\r\n"
    ).encode()


def masked(data: bytes, first_byte: int = 0x81) -> bytes:
    """A client's frame, masked with zeros."""
    length = len(data)
    if length < 126:
        header = bytes((first_byte, 0x80 | length))
    elif length < 1 << 16:
        header = bytes((first_byte, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        header = bytes((first_byte, 0x80 | 127)) + length.to_bytes(8, "big")
    return header + bytes(4) + data
