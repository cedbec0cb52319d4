"""Coming in: Engine.IO's OPEN, Socket.IO's CONNECT, refusals, leaving and coming again."""

import asyncio
import json

import httpx
import pytest
import socketio

from domain.kit.errors import TokenExpired, Unavailable
from realtime.gateway.codes import SESSION_REVOKED
from realtime.wire.interface import SILENT
from realtime.wire.options import WireOptions
from realtime.wire.packets import encode_event
from tests.realtime.serving import Recorder, StalledClient, serving
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_an_official_client_connects_emits_and_hears_over_every_transport(transports: list[str]) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up:
        heard: asyncio.Queue[object] = asyncio.Queue()
        client = socketio.AsyncClient(reconnection=False)
        client.on("hello", heard.put)
        await client.connect(up.url, auth={"token": "t"}, transports=transports)
        assert json.loads(endpoint.auths[0]) == {"token": "t"}
        assert await client.call("echo", {"a": "ä€😀"}) == {"a": "ä€😀"}
        endpoint.opens[0].send(encode_event("hello", {"b": [1, 2.5, None]}))
        assert await asyncio.wait_for(heard.get(), 10) == {"b": [1, 2.5, None]}
        await client.disconnect()
        await eventually(lambda: len(endpoint.ends) == 1 and up.wire.connections == 0)


async def test_the_opening_says_the_heartbeat_in_milliseconds() -> None:
    options = WireOptions(ping_interval_seconds=0.3, ping_timeout_seconds=0.2)
    async with serving(Recorder(), options) as up, up.raw() as client:
        assert client.opening["pingInterval"] == 300
        assert client.opening["pingTimeout"] == 200
        assert client.opening["upgrades"] == []
        assert client.opening["maxPayload"] == options.frame_bytes


async def test_a_refused_connect_says_why_and_may_be_tried_again() -> None:
    endpoint = Recorder(refuse=TokenExpired("it has ended", field="token"))
    async with serving(endpoint) as up, up.raw() as client:
        await client.send('40{"token":"old"}')
        answer = json.loads((await client.frame()).removeprefix("44"))
        assert answer == {"message": "it has ended", "data": {"code": "token_expired", "field": "token"}}
        endpoint.refuse = Unavailable("later", retry_after_ms=700)
        await client.send("40")
        answer = json.loads((await client.frame()).removeprefix("44"))
        assert answer["data"] == {"code": "unavailable", "retry_after_ms": 700}
        endpoint.refuse = None
        await client.sign_in({"token": "new"})
        assert endpoint.ends == []


async def test_official_clients_get_the_code_of_a_refusal() -> None:
    async with serving(Recorder(refuse=TokenExpired("it has ended"))) as up:
        client = socketio.AsyncClient(reconnection=False)
        reasons: asyncio.Queue[object] = asyncio.Queue()
        client.on("connect_error", reasons.put)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(up.url, transports=["websocket"], retry=False)
        reason = await asyncio.wait_for(reasons.get(), 10)
        assert reason == {"message": "it has ended", "data": {"code": "token_expired"}}


async def test_auth_that_is_not_json_is_refused() -> None:
    async with serving(Recorder()) as up, up.raw() as client:
        for auth in ("{", "nope", '{"a":NaN}', "[" * 50_000, '"' + "x" * 20_000 + '"'):
            await client.send("40" + auth)
            answer = json.loads((await client.frame()).removeprefix("44"))
            assert answer["data"]["code"] in ("invalid", "too_large")
        await client.sign_in()


async def test_other_namespaces_do_not_exist() -> None:
    async with serving(Recorder()) as up, up.raw() as client:
        await client.send("40/admin,", "40/admin")
        for _ in range(2):
            assert await client.frame() == '44/admin,{"message":"Invalid namespace"}'
        await client.sign_in()


@pytest.mark.parametrize("packet", ["40/nowhere,", "40{"])
async def test_a_peer_that_does_not_take_no_for_an_answer_is_closed(packet: str) -> None:
    async with serving(Recorder()) as up, up.raw() as client:
        await client.send(*[packet] * 21)
        assert await client.closed() == 1002


async def test_a_second_connect_is_a_fault_and_the_connection_stays() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send("40")
        await client.emit("echo", 1, 5)
        assert await client.ack(5) == 1
        assert [fault.code.value for fault in endpoint.faults] == ["conflict"]


@pytest.mark.parametrize("packet", ['42["x",{}]', "41", "43[]", "4", "4z", "451-[]", b"\x00", "42/admin,[]"])
async def test_anything_before_connect_closes(packet: str | bytes) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.raw() as client:
        await client.send(packet)
        assert await client.closed() == 1002
        assert endpoint.opens == endpoint.events == endpoint.faults == []


async def test_a_socket_that_does_not_connect_in_time_is_closed() -> None:
    options = WireOptions(connect_within_seconds=10)
    with turned_clock() as clock:
        async with (
            serving(Recorder(), options) as up,
            up.raw(ping_interval=None) as client,
            httpx.AsyncClient(timeout=None) as http,
        ):
            sid = json.loads((await http.get(up.polling_url())).text[1:])["sid"]
            poll = asyncio.create_task(http.get(up.polling_url(sid=sid)))
            await eventually(lambda: up.wire.engine.sessions[sid].poll is not None)
            await clock.turn(10.1)
            assert (await poll).text == "1"
            assert await client.closed() == SILENT.status
            await eventually(lambda: not up.wire.connections)


async def test_the_time_to_connect_ends_with_connect_and_begins_again_with_disconnect() -> None:
    endpoint = Recorder()
    options = WireOptions(connect_within_seconds=10)
    with turned_clock() as clock:
        async with serving(endpoint, options) as up, up.signed_in(ping_interval=None) as client:
            await clock.turn(10.1)
            await client.emit("echo", 1, 1)
            assert await client.ack(1) == 1
            await client.send("41")
            await eventually(lambda: endpoint.ends)
            await clock.turn(9)
            assert up.wire.connections == 1
            await clock.turn(1.1)
            assert await client.closed() == SILENT.status


async def test_leaving_the_namespace_ends_the_client_and_it_may_come_again() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send("41")
        again = await client.sign_in()
        assert endpoint.ends == [(endpoint.opens[0], "client disconnect")]
        assert endpoint.opens[1].sid == again != endpoint.opens[0].sid
        endpoint.opens[0].send(encode_event("stale", 1))
        endpoint.opens[1].send(encode_event("fresh", 2))
        assert await client.event("fresh") == 2


async def test_a_client_that_leaves_while_it_is_checked_is_closed_once_and_never_opened() -> None:
    endpoint = Recorder(gate=asyncio.Event())
    with turned_clock() as clock:
        async with serving(endpoint, WireOptions(connect_within_seconds=10)) as up:
            async with up.raw() as client:
                await client.send("40")
                await eventually(lambda: endpoint.auths)
            await eventually(lambda: up.wire.connections == 0)
            await clock.turn(10.1)
            assert endpoint.gate is not None
            endpoint.gate.set()
        await eventually(lambda: endpoint.ends)
        assert endpoint.opens == []
        assert len(endpoint.ends) == len(endpoint.sockets) == 1


async def test_a_client_that_is_closed_while_it_is_checked_is_never_opened() -> None:
    class Closer(Recorder):
        async def admit(self, socket, auth) -> None:  # type: ignore[no-untyped-def]
            await super().admit(socket, auth)
            socket.close(SESSION_REVOKED)

    endpoint = Closer()
    async with serving(endpoint) as up, up.raw() as client:
        await client.send("40")
        assert await client.closed() == SESSION_REVOKED.status
        await eventually(lambda: endpoint.ends)
        assert endpoint.opens == []
        assert len(endpoint.ends) == 1


async def test_what_is_sent_before_the_answer_to_connect_is_not_delivered() -> None:
    class Eager(Recorder):
        async def admit(self, socket, auth) -> None:  # type: ignore[no-untyped-def]
            socket.send(encode_event("early", 1))
            await super().admit(socket, auth)

        def opened(self, socket) -> None:  # type: ignore[no-untyped-def]
            socket.send(encode_event("ready", 2))

    async with serving(Eager()) as up, up.signed_in() as client:
        assert await client.event("ready") == 2


async def test_frames_that_follow_connect_in_one_write_are_heard_after_it() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, StalledClient.open(up.port) as client:
        for number in range(5):
            client.emit("echo", number)
        await eventually(lambda: len(endpoint.events) == 5)
        assert endpoint.events == [("echo", [number]) for number in range(5)]
