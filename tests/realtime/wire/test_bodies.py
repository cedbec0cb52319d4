"""Bodies of POSTs that do not come, are too large or hold too much: none outlives its session or holds others up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvloop

from realtime.wire.options import WireOptions
from realtime.wire.server import Wire
from tests.realtime.serving import WITHIN_SECONDS, Recorder, Serving, handshake, masked, serving
from tests.realtime.wire.test_hostile import link_of
from tests.realtime.wire.transports import settle, turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def session(up: Serving, http: httpx.AsyncClient, *, signed_in: bool = False) -> str:
    """The id of a new session."""
    sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
    if signed_in:
        assert (await http.post(up.polling_url(sid=sid), content="40")).text == "ok"
        assert (await http.get(up.polling_url(sid=sid))).text.startswith("40")
    return sid


class Upload:
    """A POST whose body is written as the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, up: Serving, sid: str, announced: int) -> AsyncIterator["Upload"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        target = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        writer.write(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n".encode())
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def status(self, within: float = WITHIN_SECONDS) -> int:
        async with asyncio.timeout(within):
            return int((await self._reader.readuntil(b"\r\n\r\n")).split()[1])


async def test_a_body_ends_with_its_session() -> None:
    options = WireOptions(sockets_per_address=200)
    async with serving(Recorder(), options) as up, httpx.AsyncClient() as http:
        for _ in range(100):
            sid = await session(up, http)
            async with Upload.open(up, sid, 60_000) as upload:
                upload.write(b"4" * 50_000)
                await eventually(lambda sid=sid: up.wire.engine.sessions[sid].posting is not None)  # type: ignore[misc]
                assert (await http.post(up.polling_url(sid=sid), content="40")).status_code == 400
                assert await upload.status() == 400
                await eventually(lambda: not up.server.server_state.tasks)
        assert up.wire.connections == 0


async def test_a_stop_does_not_wait_for_a_body_nor_for_what_a_body_has_begun() -> None:
    endpoint = Recorder(gate=asyncio.Event())
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        unfinished, connecting = await session(up, http), await session(up, http)
        async with Upload.open(up, unfinished, 1000) as upload, Upload.open(up, connecting, 2) as connect:
            upload.write(b"4")
            connect.write(b"40")
            await eventually(lambda: up.wire.engine.sessions[unfinished].posting is not None)
            await eventually(lambda: endpoint.auths)
            async with asyncio.timeout(WITHIN_SECONDS):
                await up.stop()
            assert [await upload.status(), await connect.status()] == [400, 200]
        assert endpoint.gate is not None
        endpoint.gate.set()


async def test_a_body_that_takes_too_long_ends_the_session() -> None:
    endpoint = Recorder()
    options = WireOptions(ping_interval_seconds=10, ping_timeout_seconds=0.1)
    async with serving(endpoint, options) as up, httpx.AsyncClient() as http:
        sid = await session(up, http, signed_in=True)
        async with Upload.open(up, sid, 1000) as upload:
            upload.write(b"4")
            assert await upload.status() == 408
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["transport error"]


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_body_that_will_be_too_large_is_refused_before_it_comes(signed_in: bool) -> None:
    async with serving(Recorder()) as up, httpx.AsyncClient() as http:
        sid = await session(up, http, signed_in=signed_in)
        connection = up.wire.engine.sessions[sid]
        async with Upload.open(up, sid, up.wire.engine.most_bytes(connection) + 1) as upload:
            assert await upload.status() == 413
        await eventually(lambda: not up.wire.connections)


async def test_a_stranger_sends_less_than_somebody_who_is_known() -> None:
    async with serving(Recorder()) as up, httpx.AsyncClient() as http:
        body = b"\x1e".join([b"4" + b" " * 100_000] * 2)
        stranger, known = [await session(up, http, signed_in=signed_in) for signed_in in (False, True)]
        assert (await http.post(up.polling_url(sid=stranger), content=body)).status_code == 413
        assert (await http.post(up.polling_url(sid=known), content='42["x","' + "x" * 200_000 + '"]')).text == "ok"


async def test_a_body_of_very_many_packets_ends_the_session() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        sid = await session(up, http, signed_in=True)
        assert (await http.post(up.polling_url(sid=sid), content=b"\x1e".join([b"6"] * 4096))).text == "ok"
        assert (await http.post(up.polling_url(sid=sid), content=b"\x1e".join([b"6"] * 4097))).status_code == 400
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["parse error"]


async def test_a_shutdown_waits_a_little_for_connects_under_way_and_leaves_none() -> None:
    endpoint = Recorder(gate=asyncio.Event())
    wire = Wire(WireOptions(), endpoint)
    with turned_clock() as clock:
        _, transport = link_of(wire)
        transport.feed(handshake(1))
        transport.feed(masked(b"40"))
        await settle()
        wire.stop()
        ending = asyncio.create_task(wire.shutdown())
        await settle()
        await clock.turn(4.9)
        assert not ending.done()
        await clock.turn(0.2)
        await ending
        assert len(wire.engine.tasks) == 0
        assert endpoint.sockets == []
        await clock.turn(1)


async def test_names_that_clients_invent_are_forgotten_when_they_are_refused() -> None:
    wire = Wire(WireOptions(), namespaces="*")

    async def connect(_namespace: str, _sid: str, _environ: dict[str, Any], auth: object = None) -> bool:
        return auth is None

    wire.on("connect", connect, namespace="*")
    _, transport = link_of(wire)
    transport.feed(handshake(1))
    for number, auth in enumerate(("[", '{"no":1}', "")):
        transport.feed(masked(f"40/{number},{auth}".encode()))
        await settle()
    assert [transport.sent.count(each) for each in (b"44/0,", b"44/1,", b"40/2,")] == [1, 1, 1]
    assert list(wire._handler_endpoints) == list(wire.emitter.namespaces) == ["/2"]
    transport.reset()
    await settle()
    assert not wire._handler_endpoints
    assert not wire.emitter.namespaces
    await wire.shutdown()


@pytest.mark.parametrize(
    "behaviour",
    [
        test_a_body_ends_with_its_session,
        test_a_stop_does_not_wait_for_a_body_nor_for_what_a_body_has_begun,
        test_a_body_that_takes_too_long_ends_the_session,
    ],
)
def test_the_same_on_uvloop(behaviour: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(behaviour())
