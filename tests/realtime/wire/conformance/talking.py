"""The conformance server on loopback, and a client of each transport that says exactly what a test says.

Pings are 20 s apart unless a test is about them, so that nothing passes because a short ping time-out closed it.
"""

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.commands.conformance import Conformance
from tests.support.waiting import eventually

ENGINE = "/engine.io/"
SOCKET = "/socket.io/"
WITHIN_SECONDS = 15.0

_SEPARATOR = "\x1e"

Message = str | bytes


@dataclass
class Session:
    """A long-polling session, and what its polls brought that nobody asked for yet."""

    server: "Talking"
    opening: dict[str, Any]
    waiting: deque[Message] = field(default_factory=deque)

    @property
    def sid(self) -> str:
        sid: str = self.opening["sid"]
        return sid

    async def post(self, *packets: Message) -> httpx.Response:
        """Send Engine.IO packets in one body."""
        return await self.server.request("POST", sid=self.sid, content=_SEPARATOR.join(map(_as_text, packets)))

    async def poll(self) -> httpx.Response:
        """One GET."""
        return await self.server.request(sid=self.sid)

    async def polled(self) -> list[str]:
        """The packets of the next poll."""
        answer = await self.poll()
        assert answer.status_code == 200, answer.text
        return answer.text.split(_SEPARATOR)

    async def gone(self) -> bool:
        """Whether the server knows the session no more."""
        answer = await self.server.request("POST", sid=self.sid, content="6")
        return answer.status_code == 400 and answer.json() == {"code": 1, "message": "Session ID unknown"}

    @asynccontextmanager
    async def poll_under_way(self) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
        """A GET that has arrived at the server and is waiting there."""
        poll = asyncio.create_task(self.poll())
        try:
            await self.server.round_trips()
            yield poll
        finally:
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)

    # As a Talker

    async def send(self, *messages: Message) -> None:
        """Send Socket.IO packets."""
        await self.post(*(_as_message(message) for message in messages))

    async def next(self) -> Message:
        """The next Socket.IO packet; pings are answered and passed over."""
        while not self.waiting:
            for packet in await self.polled():
                await self._arrived(packet)
        return self.waiting.popleft()

    async def _arrived(self, packet: str) -> None:
        if packet == "2":
            await self.post("3")
        elif packet[:1] == "4":
            self.waiting.append(packet[1:])
        elif packet[:1] == "b":
            self.waiting.append(base64.b64decode(packet[1:], validate=True))

    async def closed(self) -> None:
        """Return once the session is over."""
        await eventually(self.gone, timeout=WITHIN_SECONDS)


class Upgraded:
    """A WebSocket and its messages."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def say(self, *frames: Message) -> None:
        """Send frames."""
        for frame in frames:
            await self.websocket.send(frame)

    async def hear(self, within: float = WITHIN_SECONDS) -> Message:
        """The next frame, whatever it is."""
        return await asyncio.wait_for(self.websocket.recv(), within)

    async def opened(self) -> dict[str, Any]:
        """What the next frame, the OPEN, says."""
        frame = await self.hear()
        assert isinstance(frame, str)
        assert frame[0] == "0"
        opening: dict[str, Any] = json.loads(frame[1:])
        return opening

    # As a Talker

    async def send(self, *messages: Message) -> None:
        """Send Socket.IO packets."""
        await self.say(*(_as_message(message) for message in messages))

    async def next(self) -> Message:
        """The next Socket.IO packet; pings are answered and passed over."""
        while True:
            frame = await self.hear()
            if frame == "2":
                await self.say("3")
            else:
                return frame[1:] if isinstance(frame, str) else frame

    async def closed(self) -> None:
        """Return once the server has closed the WebSocket."""
        async with asyncio.timeout(WITHIN_SECONDS):
            try:
                while True:
                    await self.websocket.recv()
            except ConnectionClosed:
                return


class Talker(Protocol):
    """A client past the OPEN, over either transport."""

    async def send(self, *messages: Message) -> None: ...
    async def next(self) -> Message: ...
    async def closed(self) -> None: ...


@dataclass
class Talking:
    """A server and one path of it."""

    port: int
    path: str
    http: httpx.AsyncClient

    def url(self, scheme: str = "http", **query: str | None) -> str:
        """An address; a parameter that is None is left out."""
        merged = {"EIO": "4", "transport": "polling" if scheme == "http" else "websocket"} | query
        given = {name: value for name, value in merged.items() if value is not None}
        return f"{scheme}://127.0.0.1:{self.port}{self.path}?{urlencode(given)}"

    async def request(
        self, method: str = "GET", headers: dict[str, str] | None = None, content: Any = None, **query: str | None
    ) -> httpx.Response:
        """One HTTP request."""
        return await self.http.request(method, self.url(**query), headers=headers, content=content)

    async def round_trips(self) -> None:
        """Return once the server has read what other connections wrote before."""
        for _ in range(3):
            await self.request(sid="nobody")

    async def session(self) -> Session:
        """A new long-polling session."""
        answer = await self.request()
        assert answer.status_code == 200
        assert answer.text[0] == "0"
        return Session(self, json.loads(answer.text[1:]))

    @asynccontextmanager
    async def websocket(self, **query: str | None) -> AsyncIterator[Upgraded]:
        """A WebSocket, before its first frame."""
        async with connect(self.url("ws", **query), proxy=None) as websocket:
            yield Upgraded(websocket)

    async def refusal(self, headers: dict[str, str] | None = None, **query: str | None) -> tuple[int, Any]:
        """How a WebSocket is refused: the status, and the JSON of the body."""
        try:
            async with connect(self.url("ws", **query), proxy=None, additional_headers=headers):
                raise AssertionError("not refused")
        except InvalidStatus as refused:
            return refused.response.status_code, json.loads(refused.response.body or b"null")

    @asynccontextmanager
    async def talker(self, transport: str) -> AsyncIterator[Talker]:
        """A client past the OPEN."""
        if transport == "polling":
            yield await self.session()
            return
        async with self.websocket() as client:
            await client.opened()
            yield client


@asynccontextmanager
async def talking(
    path: str = ENGINE, *, ping_interval_ms: int = 20_000, ping_timeout_ms: int = 20_000, **changed: Any
) -> AsyncIterator[Talking]:
    """Serve until the block ends; nothing of it is left then."""
    conformance = Conformance(ping_interval_ms, ping_timeout_ms, **changed)
    async with serving(conformance) as port, httpx.AsyncClient(timeout=WITHIN_SECONDS) as http:
        yield Talking(port, path, http)


@asynccontextmanager
async def serving(conformance: Conformance) -> AsyncIterator[int]:
    """Run the server on a free port, without uvicorn's pauses at the end."""
    config = conformance.config("127.0.0.1", 0)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        conformance.stop()
        state = server.server_state
        for listener in server.servers:
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        await eventually(lambda: not state.connections and not state.tasks)
        for listener in server.servers:
            await listener.wait_closed()
        await conformance.shutdown()


def _as_message(message: Message) -> Message:
    return "4" + message if isinstance(message, str) else message


def _as_text(packet: Message) -> str:
    return packet if isinstance(packet, str) else "b" + base64.b64encode(packet).decode()
