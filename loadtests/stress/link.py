"""One Socket.IO connection, spoken by hand over a WebSocket: every event in the order in which it came.

What arrives is handed on synchronously, acks too, so that what a resume answers cannot be overtaken on this side. It
can be cut without a word, as a tunnel does.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidState

CONNECT_SECONDS = 8.0
"""A server whose stores are all silent takes a moment to say who may come in."""
_SESSION_READY = "session:ready"

Heard = Callable[[str, dict[str, Any]], None]
Answered = Callable[[dict[str, Any]], None]


class ConnectionLost(Exception):
    """There is no connection (any more): what was not acknowledged is not known to be kept."""


class Link:
    """An open, signed-in connection; use it as a context manager."""

    def __init__(self, websocket: ClientConnection, heard: Heard) -> None:
        self._websocket = websocket
        self._heard = heard
        self._ids = itertools.count(1)
        self._waiting: dict[int, Answered] = {}
        self._hearing: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        self.ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        """What `session:ready` said."""
        self.closing: dict[str, Any] | None = None
        """The `error` event with which the server closed the socket."""

    @classmethod
    async def open(cls, url: str, token: str, device_id: str, heard: Heard) -> "Link":
        """Connect, sign in, and wait for `session:ready`. Raises ConnectionLost."""
        address = f"ws{url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                websocket = await connect(address, proxy=None, max_size=None, ping_interval=None, close_timeout=1)
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, ConnectionClosed) as error:
            raise ConnectionLost(type(error).__name__) from error
        link = cls(websocket, heard)
        try:
            await link._sign_in(token, device_id)
        except BaseException:
            await link.close()
            raise
        return link

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether nobody has ended it, as far as is known."""
        return not self.ended.is_set()

    def tell(self, event: str, payload: dict[str, Any], answered: Answered) -> None:
        """Send an event; `answered` is called with the body of its ack, unless the connection ends before."""
        if not self.is_open:
            raise ConnectionLost(event)
        number = next(self._ids)
        self._waiting[number] = answered
        self._write(f"42{number}{json.dumps([event, payload])}")

    async def ask(self, event: str, payload: dict[str, Any], *, seconds: float = 10.0) -> dict[str, Any]:
        """The body of the ack, an error too. Raises ConnectionLost, also when none comes in time."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.tell(event, payload, lambda body: None if answer.done() else answer.set_result(body))
        ended: asyncio.Future[Any] = asyncio.ensure_future(self.ended.wait())
        both: set[asyncio.Future[Any]] = {answer, ended}
        try:
            await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if not answer.done():
            raise ConnectionLost(event)
        return answer.result()

    def cut(self) -> None:
        """Be gone without a word."""
        self._websocket.transport.abort()
        self.ended.set()

    async def close(self) -> None:
        """Hang up."""
        self.ended.set()
        with contextlib.suppress(ConnectionClosed):
            await self._websocket.close()
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _sign_in(self, token: str, device_id: str) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._websocket.recv()
                await self._websocket.send(f"40{json.dumps({'token': token, 'device_id': device_id})}")
                self._hearing = asyncio.create_task(self._hear(), name="link:hear")
                either: set[asyncio.Future[Any]] = {self.ready, self._hearing}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except (ConnectionClosed, OSError, TimeoutError) as error:
            raise ConnectionLost(type(error).__name__) from error
        if not self.ready.done():
            raise ConnectionLost(f"refused: {self.closing}")

    async def _hear(self) -> None:
        try:
            async for text in self._websocket:
                self._read(str(text))
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()

    def _read(self, text: str) -> None:
        if text == "2":
            self._write("3")
        elif text.startswith("42"):
            self._event(*json.loads(text[2:]))
        elif text.startswith("43"):
            number, _, rest = text[2:].partition("[")
            answered = self._waiting.pop(int(number), None)
            if answered is not None:
                arguments: list[dict[str, Any] | None] = json.loads("[" + rest)
                answered((arguments[0] if arguments else None) or {})
        elif text.startswith("44"):
            self.closing = json.loads(text[2:])
            self._websocket.transport.abort()

    def _event(self, name: str, payload: dict[str, Any]) -> None:
        if name == _SESSION_READY and not self.ready.done():
            self.ready.set_result(payload)
        elif name == "error" and payload.get("reconnect"):
            self.closing = payload
        self._heard(name, payload)

    def _write(self, text: str) -> None:
        """Without waiting: what a client sends is small, and a server that does not read is hung up on soon."""
        try:
            self._websocket.protocol.send_text(text.encode())
            self._websocket.send_data()
        except (InvalidState, OSError):
            self.ended.set()


def error_of(body: dict[str, Any]) -> dict[str, Any] | None:
    """The error in the body of an ack, None when it is none."""
    error = body.get("error")
    return error if isinstance(error, dict) else None
