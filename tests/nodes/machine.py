"""Two nodes of one machine in the process of the test, each a wire behind a port of its own: connections change hands
between them as between processes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from domain.kit.tasks import TaskOwner
from realtime.wire.handover import shared_http
from realtime.wire.http import Bounds
from realtime.wire.options import WireOptions
from server.nodes.giving import Giver, Handovers
from server.nodes.place import Place, names_of
from server.nodes.taking import Taker
from tests.realtime.serving import Recorder, Serving, serving

NAMES = names_of("one", 2)


@dataclass
class Sibling:
    """One of the two."""

    place: Place
    registry: CollectorRegistry
    giver: Giver
    up: Serving
    taker: Taker
    heard: Recorder
    protocol: Callable[[bytes], asyncio.Protocol]
    """That of a connection of which so much was read."""

    def handovers(self) -> dict[str, float]:
        """Given, taken and failed."""
        name = "throttlecove_handovers_total"
        outcomes = ("given", "taken", "failed")
        return {each: self.registry.get_sample_value(name, {"outcome": each}) or 0.0 for each in outcomes}

    async def session(self) -> str:
        """A new long-polling session of this node, past CONNECT."""
        async with httpx.AsyncClient() as client:
            opening = (await client.get(self.up.polling_url())).text
            sid: str = json.loads(opening[1:])["sid"]
            await client.post(self.up.polling_url(sid=sid), content="40")
            assert (await client.get(self.up.polling_url(sid=sid))).text.startswith("40")
        return sid


@asynccontextmanager
async def sibling(directory: Path, name: str) -> AsyncIterator[Sibling]:
    """One node, which knows where the other one would be."""
    place, registry, heard = Place(directory, NAMES, name), CollectorRegistry(), Recorder()
    handovers = Handovers(registry)
    options = WireOptions(node_name=name)
    giver = Giver(place, handovers)
    http = shared_http(Bounds([options]), giver, ["/socket.io/"])
    async with TaskOwner("test") as tasks, serving(heard, options, http=http) as up:
        state: dict[str, Any] = {}

        def protocol(given: bytes) -> asyncio.Protocol:
            return http(config=up.server.config, server_state=up.server.server_state, app_state=state, given=given)

        taker = Taker(place.connections_of(name), protocol, tasks, handovers)
        taker.open()
        yield Sibling(place, registry, giver, up, taker, heard, protocol)
        taker.close()
        giver.close()


@asynccontextmanager
async def machine(directory: Path) -> AsyncIterator[tuple[Sibling, Sibling]]:
    """Both of them."""
    first, second = NAMES
    async with sibling(directory, first) as one, sibling(directory, second) as two:
        yield one, two


class Connection:
    """A TCP connection on which a test says what it likes, byte by byte, and reads answers in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Each piece by itself: the server reads it before the next one comes."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def answer(self) -> tuple[int, str]:
        """The next answer's status and body."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return int(head.split(" ")[1]), (await self.reader.readexactly(length)).decode()


@asynccontextmanager
async def connection(node: Sibling) -> AsyncIterator[Connection]:
    """To a node's port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.up.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def get(sid: str = "", headers: str = "", query: str = "") -> bytes:
    """A poll, or without a session the request that begins one."""
    named = f"&sid={sid}" if sid else ""
    return f"GET /socket.io/?EIO=4&transport=polling{named}{query} HTTP/1.1\r\nHost: here\r\n{headers}\r\n".encode()


def post(sid: str, body: bytes, *, chunks: int = 0) -> bytes:
    """A body for a session, in one piece, or in chunks of so many bytes."""
    target = f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: here\r\n"
    if not chunks:
        return f"{target}Content-Length: {len(body)}\r\n\r\n".encode() + body
    parts = [body[at : at + chunks] for at in range(0, len(body), chunks)]
    lines = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return f"{target}Transfer-Encoding: chunked\r\n\r\n".encode() + lines + b"0\r\n\r\n"
