"""Long-polling: payloads of many packets, bodies that are not, two polls at once, and the upgrade to WebSocket."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from realtime.wire.options import WireOptions
from realtime.wire.packets import encode_event
from tests.realtime.serving import Recorder, Serving, serving
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


@dataclass
class Poller:
    """A signed-in polling session."""

    up: Serving
    http: httpx.AsyncClient
    sid: str

    @property
    def url(self) -> str:
        return self.up.polling_url(sid=self.sid)

    async def post(self, *packets: str) -> httpx.Response:
        return await self.http.post(self.url, content="\x1e".join(packets))

    async def poll(self) -> list[str]:
        return (await self.http.get(self.url)).text.split("\x1e")


@asynccontextmanager
async def polling(up: Serving) -> AsyncIterator[Poller]:
    async with httpx.AsyncClient() as http:
        opening = json.loads((await http.get(up.polling_url())).text[1:])
        assert opening["upgrades"] == ["websocket"]
        poller = Poller(up, http, opening["sid"])
        await poller.post("40")
        assert (await poller.poll())[0].startswith("40")
        yield poller


async def test_a_payload_of_a_hundred_packets_is_handled_in_order() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        await client.post(*(f'42{number}["echo",{number}]' for number in range(100)))
        assert await client.poll() == [f"43{number}[{number}]" for number in range(100)]
        assert endpoint.events == [("echo", [number]) for number in range(100)]


async def test_a_body_without_a_length_is_read() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'427["ec'
        yield b'ho","chunked"]'

    async with serving(Recorder()) as up, polling(up) as client:
        assert (await client.http.post(client.url, content=chunks())).text == "ok"
        assert await client.poll() == ['437["chunked"]']


async def test_what_is_sent_between_polls_waits_for_the_next() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        for number in range(3):
            endpoint.opens[0].send(encode_event("n", number))
        assert endpoint.opens[0].backlog() == 3
        assert await client.poll() == [f'42["n",{number}]' for number in range(3)]


@pytest.mark.parametrize(
    "body", [b"", b"abc", b"9", b"0{}", b"2", b"b!!!", b"\xff\xfe", b"4\x1e", b"\x1e".join([b"x"] * 1000)]
)
async def test_a_body_that_is_no_payload_ends_the_session(body: bytes) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        assert (await client.http.post(client.url, content=body)).status_code == 400
        assert (await client.http.get(client.url)).status_code == 400
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["parse error"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_ends_the_session(chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"4" * 1000

    endpoint = Recorder()
    async with serving(endpoint, WireOptions(frame_bytes=10_000)) as up, polling(up) as client:
        answer = await client.http.post(client.url, content=chunks() if chunked else b"4" * 20_000)
        assert answer.status_code == 413
        await eventually(lambda: endpoint.ends)


async def test_binary_where_text_is_due_is_a_fault() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        await client.post("b" + base64.b64encode(b"stray").decode())
        assert [fault.code.value for fault in endpoint.faults] == ["invalid"]
        await client.post('451-3["x",{"_placeholder":true,"num":0}]', "b" + base64.b64encode(b"due").decode())
        assert endpoint.events == [("x", ["binary"])]


async def test_two_polls_at_once_end_the_session() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        first = asyncio.create_task(client.http.get(client.url))
        await eventually(lambda: up.wire.engine.sessions[client.sid].poll is not None)
        assert (await client.http.get(client.url)).status_code == 400
        assert (await first).text == "1"
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["parse error"]


async def test_a_client_may_close_its_session() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        assert (await client.post("1")).text == "ok"
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["transport close"]


async def test_sessions_that_do_not_exist_and_what_is_not_spoken() -> None:
    async with serving(Recorder()) as up, httpx.AsyncClient() as http:
        for url in (
            up.polling_url(sid="nobody"),
            up.polling_url(EIO="3"),
            up.polling_url(transport="smoke"),
            up.polling_url(transport="websocket"),
            up.polling_url(j="0"),
        ):
            assert (await http.get(url)).status_code == 400
        assert (await http.post(up.polling_url(), content="40")).status_code == 400
        assert (await http.put(up.polling_url())).status_code == 400
        assert up.wire.connections == 0


async def test_an_upgrade_keeps_the_session_and_what_waited() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        poll = asyncio.create_task(client.poll())
        await eventually(lambda: up.wire.engine.sessions[client.sid].poll is not None)
        async with connect(f"{up.websocket_url}&sid={client.sid}", proxy=None) as websocket:
            await websocket.send("2probe")
            assert await websocket.recv() == "3probe"
            assert await poll == ["6"]
            assert await client.poll() == ["6"]
            endpoint.opens[0].send(encode_event("waited", 1))
            await websocket.send("5")
            assert await websocket.recv() == '42["waited",1]'
            await websocket.send('421["echo","up"]')
            assert await websocket.recv() == '431["up"]'
            assert (await client.http.get(client.url)).status_code == 400
        await eventually(lambda: endpoint.ends)
        assert len(endpoint.opens) == 1


@pytest.mark.parametrize("frames", [["40"], ["2"], ["2probe", "6"], ["2probe", '42["x",{}]'], [b"2probe"]])
async def test_an_upgrade_that_goes_wrong_leaves_the_session_polling(frames: list[str | bytes]) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, polling(up) as client:
        async with connect(f"{up.websocket_url}&sid={client.sid}", proxy=None) as websocket:
            for frame in frames:
                await websocket.send(frame)
            with pytest.raises(ConnectionClosed):
                while True:
                    await websocket.recv()
        await client.post('421["echo","still here"]')
        answers = await client.poll()
        assert answers == ['431["still here"]']
        assert endpoint.ends == []


async def test_an_upgrade_that_never_ends_is_given_up() -> None:
    with turned_clock() as clock:
        async with serving(Recorder(), WireOptions(upgrade_within_seconds=10)) as up, polling(up) as client:
            async with connect(f"{up.websocket_url}&sid={client.sid}", proxy=None) as websocket:
                await websocket.send("2probe")
                assert await websocket.recv() == "3probe"
                await clock.turn(10.1)
                with pytest.raises(ConnectionClosed):
                    await websocket.recv()
            await client.post('421["echo",1]')
            assert await client.poll() == ["431[1]"]


async def test_a_second_upgrade_is_refused() -> None:
    async with serving(Recorder()) as up, polling(up) as client:
        url = f"{up.websocket_url}&sid={client.sid}"
        async with connect(url, proxy=None) as first:
            await first.send("2probe")
            assert await first.recv() == "3probe"
            async with connect(url, proxy=None) as second:
                with pytest.raises(ConnectionClosed):
                    await second.recv()
            await first.send("5")
            await first.send('421["echo",1]')
            assert await first.recv() == "431[1]"
