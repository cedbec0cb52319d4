"""Handshakes that are opened at once are opened as by uvicorn's own way, and nothing else is."""

import asyncio
import re
import socket
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from realtime.wire.entrance import Entrance
from realtime.wire.http import BoundedHttp
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.server import Wire, WireServer, uvicorn_options
from tests.realtime.serving import Recorder, handshake, masked, serving
from tests.realtime.wire.transports import RecordingTransport, settle, turned_clock
from tests.support.waiting import eventually

_SID = re.compile(rb'"sid":"[A-Za-z0-9_-]+"')


class Passed(RecordingTransport):
    """One that may change its protocol."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


class Door:
    """A wire behind an entrance, and behind uvicorn's HTTP class alone."""

    def __init__(self) -> None:
        self.wire = Wire(WireOptions(sockets_per_address=1000), Recorder())
        config = uvicorn.Config(self.wire.app(), log_config=None, lifespan="off", **uvicorn_options(self.wire.engine))
        config.load()
        self._made: dict[str, Any] = {"config": config, "server_state": ServerState(), "app_state": {}}
        self._entrance: Any = config.http_protocol_class

    def enter(self, data: bytes) -> Passed:
        return self._feed(self._entrance(**self._made), data)

    def enter_by_uvicorn(self, data: bytes) -> Passed:
        return self._feed(self._entrance.args[0].http(**self._made), data)

    def _feed(self, protocol: asyncio.Protocol, data: bytes) -> Passed:
        transport = Passed(protocol)
        protocol.connection_made(transport)
        transport.feed(data)
        return transport

    @property
    def connections(self) -> set[Any]:
        return self._made["server_state"].connections  # type: ignore[no-any-return]

    async def close(self, *transports: Passed) -> None:
        for transport in transports:
            transport.reset()
        await settle()
        assert not self.connections and not self.wire.connections


def opened(transport: Passed) -> bytes | None:
    """What was answered by a WebSocket that is open, whichever session it is."""
    return _SID.sub(b"", bytes(transport.sent)) if transport.sent.startswith(b"HTTP/1.1 101") else None


async def test_a_handshake_is_opened_at_once_as_by_uvicorns_way() -> None:
    door = Door()
    quick, slow = door.enter(handshake(1)), door.enter_by_uvicorn(handshake(1))
    assert isinstance(quick.get_protocol(), Link)
    assert opened(quick) is not None
    assert opened(quick) == opened(slow)
    assert len(door.connections) == 2
    await door.close(quick, slow)


_PLAIN = st.sampled_from(
    [
        *("Host: x", "host:x", "Upgrade: websocket", "UPGRADE:WebSocket\t", "Upgrade: h2c", "Connection: Upgrade"),
        *("connection: keep-alive, upgrade", "Connection: close", "Connection: upgraded", "Sec-WebSocket-Version: 13"),
        *("Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Key: short"),
        *("Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked", "Expect: 100-continue"),
        *("Origin: https://example.org", "Cookie: a=b; c=d", "X: ü", "X : y", ": y", "no colon", " folded", "X: a\0b"),
        *("X: a\rb", "X: a\nb", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b"),
        "X-Forwarded-For: 203.0.113.7",
    ]
)
_GOOD = handshake(1).decode().split("\r\n")[1:-2]
_LINES = st.sampled_from(
    [
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.0",
        "GET /socket.io/?EIO=4&transport=websocket",
        "get /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "POST /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1",
        "GET /socket.io/?transport=websocket&EIO=4&t=%20x HTTP/1.1",
        "GET /socket.io/?EIO=3&transport=websocket HTTP/1.1",
        "GET /socket.io/?EIO=4&transport=websocket&sid=x HTTP/1.1",
        "GET /socket.io/?sid=&EIO=4&transport=websocket HTTP/1.1",
        "GET /socket.io/?EIO=4&transport=websocket#sid HTTP/1.1",
        "GET /socket.io/?EIO=4&transport=web socket HTTP/1.1",
        "GET /SOCKET.IO/?EIO=4&transport=websocket HTTP/1.1",
        "GET /socket.io?EIO=4&transport=websocket HTTP/1.1",
        "GET /socketXio/?EIO=4&transport=websocket HTTP/1.1",
        "GET http://x/socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "GET /elsewhere HTTP/1.1",
    ]
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A handshake with something changed, or a heap of lines."""
    first = draw(st.just("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1") | _LINES)
    lines = list(draw(st.permutations(_GOOD)))
    for line in draw(st.lists(_PLAIN, max_size=3)):
        lines.insert(draw(st.integers(0, len(lines))), line)
    for _ in range(draw(st.integers(0, 2))):
        lines.pop(draw(st.integers(0, len(lines) - 1)))
    end = draw(st.sampled_from(["\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\r\n", "\n\n", "\r\n\r\nrest"]))
    return ("\r\n".join([first, *lines]) + end).encode("latin-1")


@given(heads())
def test_what_is_opened_at_once_would_be_opened_anyway(head: bytes) -> None:
    async def compare() -> None:
        door = Door()
        quick = door.enter(head)
        assert not isinstance(quick.get_protocol(), Entrance)
        if isinstance(quick.get_protocol(), Link):
            slow = door.enter_by_uvicorn(head)
            assert isinstance(slow.get_protocol(), Link)
            assert opened(quick) == opened(slow)
            assert quick.is_closing() == slow.is_closing()
        await door.wire.shutdown()

    asyncio.run(compare())


@pytest.mark.parametrize(
    "data",
    [
        handshake(1)[:50],
        handshake(1, "EIO=4&transport=websocket&sid=x"),
        handshake(1, "sid=x&EIO=4&transport=websocket"),
        handshake(1) + b"\x81",
        b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n",
        handshake(1, headers=f"X: {'x' * 70_000}\r\n"),
    ],
)
async def test_everything_else_goes_to_uvicorns_class(data: bytes) -> None:
    door = Door()
    protocol = door._entrance(**door._made)
    transport = Passed(protocol)
    protocol.connection_made(transport)
    taken: list[type[asyncio.BaseProtocol]] = []
    transport.set_protocol = lambda made: taken.append(type(made))  # type: ignore[method-assign]
    protocol.data_received(data)
    assert issubclass(taken[0], BoundedHttp)
    transport.abort()
    await door.wire.shutdown()


async def test_a_handshake_in_pieces_is_opened_too() -> None:
    door = Door()
    transport = door.enter(handshake(1)[:50])
    transport.feed(handshake(1)[50:])
    assert opened(transport) is not None
    await door.close(transport)


async def test_who_says_nothing_is_cut_in_time_and_who_leaves_is_forgotten() -> None:
    with turned_clock() as clock:
        door = Door()
        silent, gone = door.enter(b""), door.enter(b"")
        protocol = door._entrance(**door._made)
        mute = Passed(protocol)
        protocol.connection_made(mute)
        gone.hang_up()
        assert gone.is_closing()
        await clock.turn(10.5)
        assert silent.is_closing() and mute.is_closing()
        await settle()
        assert not door.connections
        await door.wire.shutdown()


async def test_the_time_for_a_head_runs_from_the_beginning() -> None:
    with turned_clock() as clock:
        door = Door()
        slow = door.enter(b"")
        await clock.turn(9)
        slow.feed(handshake(1)[:1])
        await clock.turn(1.5)
        assert slow.is_closing()
        await settle()
        assert not door.connections
        await door.wire.shutdown()


@pytest.mark.parametrize("told", [True, False])
async def test_the_kernel_keeps_little_unsent_of_each_connection(told: bool) -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    kept: list[int] = []

    class Looking(Recorder):
        def opened(self, client: Any) -> None:
            transport = client.connection._link.transport
            endpoint = transport.get_extra_info("socket")
            kept.append(endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT))
            super().opened(client)

    options = WireOptions(ahead_bytes=12_345)
    wire = Wire(options, Looking())
    config = uvicorn.Config(
        wire.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=5, **uvicorn_options(wire.engine)
    )
    config.load()
    server = WireServer(config, wire) if told else uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listening])
    _, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(handshake(1) + masked(b"40"))
    await eventually(lambda: kept)
    assert kept == [12_345]
    writer.close()
    await writer.wait_closed()
    await server.shutdown([listening])
    await wire.shutdown()


async def test_a_server_that_stops_does_not_wait_for_who_says_nothing() -> None:
    async with serving(Recorder()) as up:
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        await eventually(lambda: up.server.server_state.connections)
    writer.close()
    await writer.wait_closed()
