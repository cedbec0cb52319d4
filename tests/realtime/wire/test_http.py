"""Heads of requests, and the step from HTTP to a WebSocket, byte by byte on real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from realtime.wire.options import WireOptions
from tests.realtime.serving import Recorder, Serving, handshake, masked, serving
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

GET = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n"
ELSEWHERE = b"GET /api/anything HTTP/1.1\r\nHost: x\r\n"
SMALL = WireOptions(head_bytes=2000, close_within_seconds=0.05)
HURRIED = WireOptions(head_within_seconds=0.15)
PATIENT = WireOptions(
    head_within_seconds=30, ping_interval_seconds=100, ping_timeout_seconds=1000, connect_within_seconds=1000
)
"""For tests that turn the clock."""


class Caller:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def answer(self) -> tuple[int, bytes]:
        """The status and body of the next answer."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            return int(head[9:12]), await self.reader.readexactly(int(length[15:]))

    async def rest(self) -> bytes:
        """All until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()


@asynccontextmanager
async def calling(up: Serving) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def session(up: Serving, caller: Caller) -> str:
    caller.say(GET, b"\r\n")
    status, body = await caller.answer()
    assert status == 200
    return body.decode().split('"sid":"')[1].split('"')[0]


async def round_trip(up: Serving) -> None:
    """Return once the server has read what was said on other connections before."""
    async with calling(up) as other:
        await session(up, other)


def post(sid: str, *headers: str) -> bytes:
    lines = [f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1", "Host: x", *headers, "\r\n"]
    return "\r\n".join(lines).encode()


def poll(sid: str) -> bytes:
    return f"GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize("start", [GET, ELSEWHERE, handshake(1)[:-2]])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
async def test_a_large_head_is_refused_whether_it_ends_or_not(start: bytes, end: bytes) -> None:
    async with serving(Recorder(), SMALL) as up, calling(up) as caller:
        caller.say(start, b"A: ", b"x" * 2000, end)
        assert (await caller.answer())[0] == 431
        assert await caller.rest() == b""
        await eventually(lambda: not up.server.server_state.connections)
        assert not up.wire.connections


async def test_a_flood_of_headers_is_read_no_further_and_told_why() -> None:
    async with serving(Recorder()) as up, calling(up) as caller:
        caller.say(GET)
        with suppress(ConnectionError):
            for _ in range(200):
                caller.say(b"A: %s\r\n" % (b"x" * 1000))
                await caller.writer.drain()
        assert (await caller.answer())[0] == 431
        await eventually(lambda: not up.server.server_state.connections)


async def test_headers_behind_a_body_in_chunks_are_bounded_and_chunks_are_not() -> None:
    async with serving(Recorder(), SMALL) as up, calling(up) as caller:
        sid = await session(up, caller)
        caller.say(post(sid, "Content-Length: 2"), b"40")
        assert await caller.answer() == (200, b"ok")
        caller.say(post(sid, "Transfer-Encoding: chunked"))
        for part in (b'42["echo","', b"x" * 400_000, b'"]', b""):
            caller.say(b"%x\r\n" % len(part), part, b"\r\n")
        assert await caller.answer() == (200, b"ok")
        caller.say(post(sid, "Transfer-Encoding: chunked"), b"1\r\n4\r\n")
        caller.say(b"0\r\n")
        with suppress(ConnectionError):
            for _ in range(1000):
                caller.say(b"A: %s\r\n" % (b"x" * 1500))
                await caller.writer.drain()
        await eventually(lambda: not up.server.server_state.connections)


async def test_bodies_are_no_heads() -> None:
    async with serving(Recorder(), SMALL) as up, calling(up) as caller, httpx.AsyncClient() as http:
        sid = await session(up, caller)
        caller.say(post(sid, "Content-Length: 2"), b"40")
        assert await caller.answer() == (200, b"ok")
        caller.say(post(sid, "Content-Length: 100013"), b'42["echo","', b"x" * 100_000, b'"]')
        assert await caller.answer() == (200, b"ok")
        caller.say(GET, b"\r\n")
        assert (await caller.answer())[0] == 200
        assert (await http.get(up.polling_url(), headers={"A": "x" * 1000})).status_code == 200


@pytest.mark.parametrize("beginning", [b"", b"\r\n", b"G", GET, handshake(1)[:-2]])
async def test_a_head_that_does_not_end_in_time_ends_its_connection(beginning: bytes) -> None:
    async with serving(Recorder(), HURRIED) as up, calling(up) as caller:
        caller.say(beginning)
        assert await caller.rest() == b""
        await eventually(lambda: not up.server.server_state.connections)


async def test_the_time_counts_again_from_the_first_byte_behind_an_answer() -> None:
    with turned_clock() as clock:
        async with serving(Recorder(), PATIENT, timeout_keep_alive=600) as up, calling(up) as caller:
            await session(up, caller)
            await clock.turn(100)
            caller.say(b"G")
            await round_trip(up)
            await clock.turn(31)
            assert await caller.rest() == b""


async def test_a_connection_that_is_kept_open_belongs_to_the_keep_alive_timer() -> None:
    with turned_clock() as clock:
        async with serving(Recorder(), PATIENT, timeout_keep_alive=100) as up, calling(up) as caller:
            for _ in range(3):
                await session(up, caller)
                await clock.turn(60)
            await clock.turn(41)
            assert await caller.rest() == b""


async def test_polls_uploads_and_websockets_take_longer_than_a_head_may() -> None:
    with turned_clock() as clock:
        async with (
            serving(Recorder(), PATIENT) as up,
            calling(up) as caller,
            calling(up) as poster,
            up.signed_in(ping_interval=None) as client,
        ):
            sid = await session(up, caller)
            poster.say(post(sid, "Content-Length: 2"), b"4")
            caller.say(poll(sid))
            await round_trip(up)
            for _ in range(4):  # three times as long as a head may take, and a ping comes
                await clock.turn(26)
            assert await caller.answer() == (200, b"2")
            poster.say(b"0")
            assert await poster.answer() == (200, b"ok")
            assert await client.websocket.recv() == "2"


async def test_a_websocket_does_not_begin_while_an_answer_is_under_way() -> None:
    async with serving(Recorder()) as up, calling(up) as caller:
        sid = await session(up, caller)
        caller.say(poll(sid), handshake(up.port))
        assert (await caller.answer())[0] == 400
        assert await caller.rest() == b""
        assert up.wire.connections <= 1


async def test_a_websocket_may_begin_behind_an_answer() -> None:
    with turned_clock() as clock:
        async with serving(Recorder(), PATIENT, timeout_keep_alive=50) as up, calling(up) as caller:
            await session(up, caller)
            caller.say(handshake(up.port))
            assert b" 101 " in await caller.reader.readuntil(b"\r\n\r\n")
            await clock.turn(51)  # the timer of the answer
            await clock.turn(50)
            assert await caller.reader.readuntil(b"\x81\x012")  # a ping


@pytest.mark.parametrize("cut", [0, 1, 30, 60])
async def test_what_comes_right_behind_a_handshake_is_heard(cut: int) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, calling(up) as caller:
        opening = handshake(up.port)
        caller.say(opening[:cut])
        await eventually(lambda: up.server.server_state.connections)
        caller.say(opening[cut:], masked(b"40"), masked(b'42["echo",1]'), masked(b'42["echo",2]')[:7])
        await eventually(lambda: len(endpoint.events) == 1)
        caller.say(masked(b'42["echo",2]')[7:])
        await eventually(lambda: len(endpoint.events) == 2)
        assert endpoint.events == [("echo", [1]), ("echo", [2])]


async def test_what_comes_behind_a_handshake_that_is_refused_is_thrown_away() -> None:
    async with serving(Recorder()) as up, calling(up) as caller:
        caller.say(handshake(up.port, "EIO=3&transport=websocket"), masked(b"40"))
        assert (await caller.answer())[0] == 400
        assert await caller.rest() == b""


async def test_what_is_no_http_is_refused() -> None:
    async with serving(Recorder()) as up, calling(up) as caller:
        caller.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert await caller.answer() == (400, b"Invalid HTTP request received.")
        assert await caller.rest() == b""
