"""Thousands of WebSocket clients in one process, each a protocol object that does as little as it can."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

_SMALL_BUFFER = 4096
_OPEN_WITHIN_SECONDS = 60
_AT_ONCE = 2000
"""Connections begun together, fewer than a listening socket lets wait."""


class Member(asyncio.Protocol):
    """One client: opens a WebSocket, says its CONNECT and hands each message on; or reads nothing from then on."""

    def __init__(self, auth: str, on_message: Callable[[bytes], None], *, stalled: bool) -> None:
        self._connect = b"40" + auth.encode()
        self._on_message = on_message
        self._stalled = stalled
        self._data = bytearray()
        self._upgraded = False
        self.transport: asyncio.Transport
        self.open: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """The answer to CONNECT; the HTTP answer where there was no WebSocket."""
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded and not self._is_upgraded():
            return
        while (message := self._next()) is not None:
            self._heard(message)

    def _is_upgraded(self) -> bool:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if end and not head.startswith(b"HTTP/1.1 101"):
            self.open.set_result(bytes(head))
        elif end:
            self._upgraded, self._data = True, rest
            self.say(self._connect)
        return self._upgraded

    def _next(self) -> bytes | None:
        """The next message: frames of servers are not masked, and ours are whole."""
        data = self._data
        if len(data) < 2:
            return None
        begin, length = 2, data[1]
        if length == 126:
            begin, length = 4, int.from_bytes(data[2:4], "big")
        elif length == 127:
            begin, length = 10, int.from_bytes(data[2:10], "big")
        if len(data) < begin + length:
            return None
        message = bytes(data[begin : begin + length])
        del data[: begin + length]
        return message

    def _heard(self, message: bytes) -> None:
        if message == b"2":
            self.say(b"3")
        elif message.startswith((b"40", b"44")) and not self.open.done():
            self.open.set_result(message)
            if self._stalled:
                self.transport.pause_reading()
        elif message.startswith((b"42", b"43")):
            self._on_message(message)

    def say(self, data: bytes) -> None:
        """One short text message, masked with zeros."""
        length = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self.transport.write(b"\x81" + length + bytes(4) + data)

    def read_on(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if not self.open.done():
            self.open.set_result(b"lost")


async def gather(
    port: int,
    auths: Sequence[dict[str, Any]],
    on_message: Callable[[int], Callable[[bytes], None]] = lambda _number: lambda _message: None,
    *,
    stalled: bool = False,
) -> list[Member]:
    """A client for each of these, signed in; `on_message` makes what hears the messages of each."""
    loop = asyncio.get_running_loop()
    members: list[Member] = []

    async def one(number: int) -> Member:
        endpoint = socket.socket()
        endpoint.setblocking(False)
        if stalled:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        await loop.sock_connect(endpoint, ("127.0.0.1", port))
        made = await loop.create_connection(
            lambda: Member(json.dumps(auths[number]), on_message(number), stalled=stalled), sock=endpoint
        )
        return made[1]

    for begin in range(0, len(auths), _AT_ONCE):
        members += await asyncio.gather(*map(one, range(begin, min(len(auths), begin + _AT_ONCE))))
    answers = await asyncio.wait_for(asyncio.gather(*(member.open for member in members)), _OPEN_WITHIN_SECONDS)
    refused = Counter(answer[:200] for answer in answers if not answer.startswith(b"40"))
    assert not refused, refused
    return members


async def scatter(members: list[Member]) -> None:
    """All of them hang up."""
    for member in members:
        member.transport.abort()
    for member in members:
        await member.closed.wait()
