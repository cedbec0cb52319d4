"""Peers that use what the protocol allows against us: each ends, or costs no more than any other."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from realtime.wire.interface import OVERFLOWED
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.packets import Lane, encode_event
from realtime.wire.server import Wire, uvicorn_options
from tests.realtime.serving import Recorder, StalledClient, handshake, masked, serving
from tests.realtime.wire.transports import RecordingTransport, settle, turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

ROOMY = WireOptions(queue_bytes=64 << 20, ahead_bytes=4096)


async def fill(endpoint: Recorder) -> None:
    """Send to the only socket until it is full."""
    await eventually(lambda: endpoint.opens)
    while not endpoint.opens[0].backlog():
        endpoint.opens[0].send(encode_event("filler", "x" * 10_000))
        await asyncio.sleep(0)


async def test_pings_of_a_peer_that_does_not_read_are_answered_with_one_pong() -> None:
    endpoint = Recorder()
    async with serving(endpoint, ROOMY) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await fill(endpoint)
        pings = 20_000
        for number in range(pings):
            client.write(masked(b"%09d" % number, 0x89))
        client.emit("behind them", 1)
        await eventually(lambda: endpoint.events)
        (connection,) = up.wire.engine.sessions.values()
        assert connection._link is not None
        assert connection._link.transport.get_write_buffer_size() < ROOMY.ahead_bytes + 12_000
        client.read_on()
        before = await client.read_until(b"\x8a\x09%09d" % (pings - 1))
        assert before.count(b"\x8a\x09") < pings


async def test_end_of_file_from_a_peer_that_does_not_read_ends_the_connection() -> None:
    endpoint = Recorder()
    async with serving(endpoint, ROOMY) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await fill(endpoint)
        client._writer.write_eof()
        await eventually(lambda: endpoint.ends)
        await eventually(lambda: not up.server.server_state.connections)


async def test_answers_to_connect_are_counted_like_anything_else_that_waits() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_packets=10, queue_bytes=64 << 20)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await fill(endpoint)
        client.write((masked(b"41") + masked(b"40")) * 500)
        await eventually(lambda: not up.wire.connections)
        assert endpoint.ends[-1][1] == OVERFLOWED.code
        assert len(endpoint.opens) == len(endpoint.ends) < 60


async def test_answers_that_nobody_polls_for_are_counted_too() -> None:
    endpoint = Recorder()
    async with serving(endpoint, WireOptions(queue_packets=10)) as up, httpx.AsyncClient() as http:
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        await http.post(up.polling_url(sid=sid), content="\x1e".join(["40"] + ["41", "40"] * 500))
        await eventually(lambda: not up.wire.connections)
        assert endpoint.ends[-1][1] == OVERFLOWED.code
        assert len(endpoint.opens) == len(endpoint.ends) < 60


async def test_a_post_beside_another_ends_the_session_and_lets_nobody_in_twice() -> None:
    endpoint = Recorder(gate=asyncio.Event())
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        url = up.polling_url(sid=sid)
        first = asyncio.create_task(http.post(url, content="40"))
        await eventually(lambda: endpoint.auths)
        assert (await http.post(url, content="40")).status_code == 400
        assert endpoint.gate is not None
        endpoint.gate.set()
        await first
        await eventually(lambda: not up.wire.connections)
        assert endpoint.opens == []
        assert len(endpoint.sockets) == len(endpoint.ends) == 1


async def test_a_post_that_is_not_done_when_the_session_moves_ends_it() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        url = up.polling_url(sid=sid)
        assert (await http.post(url, content="40")).text == "ok"
        assert (await http.get(url)).text.startswith("40")

        async def halves() -> AsyncIterator[bytes]:
            yield b'42["echo",1]\x1e'
            await eventually(lambda: up.wire.engine.sessions[sid].on_websocket)
            yield b'42["echo",2]'

        posting = asyncio.create_task(http.post(url, content=halves()))
        await eventually(lambda: up.wire.engine.sessions[sid].posting is not None)
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(handshake(up.port, f"EIO=4&transport=websocket&sid={sid}"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(masked(b"2probe") + masked(b"5"))
        assert (await posting).status_code == 400
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["parse error"]
        assert endpoint.events == []
        writer.close()
        await writer.wait_closed()


def link_of(wire: Wire) -> tuple[Link, RecordingTransport]:
    """A link on a transport of the test's."""
    config = uvicorn.Config(wire.app(), log_config=None, lifespan="off", **uvicorn_options(wire.engine))
    config.load()
    link = Link({"/socket.io/": wire.engine}, config, ServerState(), {})
    transport = RecordingTransport(link)
    link.connection_made(transport)
    return link, transport


async def test_a_request_behind_answers_that_were_not_read_is_cut() -> None:
    wire = Wire(WireOptions(), Recorder())
    _, transport = link_of(wire)
    transport.stall()
    transport.write(b"an answer that nobody reads")
    transport.feed(handshake(1))
    assert transport.is_closing()
    assert transport.sent == b""
    assert wire.connections == 0
    await settle()
    await wire.shutdown()


async def test_a_refused_peer_that_does_not_read_is_cut_in_a_moment() -> None:
    wire = Wire(WireOptions(), Recorder())
    with turned_clock() as clock:
        _, transport = link_of(wire)
        transport.stall()
        transport.feed(handshake(1, "EIO=3&transport=websocket"))
        assert not transport.ended
        await clock.turn(0.6)
        assert transport.ended
        await wire.shutdown()


@pytest.mark.parametrize("began_at", [0.0, 0.1, 0.9])
async def test_something_durable_waits_for_its_time_and_a_quarter_at_most(began_at: float) -> None:
    endpoint = Recorder()
    wire = Wire(WireOptions(queue_seconds=40, ping_interval_seconds=1000), endpoint)
    with turned_clock() as clock:
        _, transport = link_of(wire)
        transport.feed(handshake(1))
        transport.feed(masked(b"40"))
        await settle()
        socket = endpoint.opens[0]
        transport.stall()
        socket.send(encode_event("large", "x" * 20_000))
        socket.send(encode_event("first", 1))
        await clock.turn(10 * began_at)
        transport.drain()
        transport.stall()
        socket.send(encode_event("large", "x" * 20_000))
        socket.send(encode_event("waits", 1))
        await clock.turn(39.9)
        assert not socket.closed
        for _ in range(10):
            await clock.turn(1.02)
        assert socket.closed
        assert endpoint.ends == [(socket, OVERFLOWED.code)]
        assert transport.is_closing() is False  # it has its moment to read why
        await clock.turn(0.6)
        assert transport.ended
        await wire.shutdown()


async def test_an_upgrade_on_a_full_transport_is_as_bounded_as_any_other_session() -> None:
    """Pongs that nobody reads fill it while the upgrade is tried: the session has to know that it is full."""
    endpoint = Recorder()
    options = WireOptions(queue_packets=50, queue_bytes=64 << 20, ahead_bytes=4096)
    async with serving(endpoint, options) as up, httpx.AsyncClient() as http:
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        await http.post(up.polling_url(sid=sid), content="40")
        await http.get(up.polling_url(sid=sid))
        wire = up.wire.engine
        link = Link({wire.path: wire}, up.server.config, up.server.server_state, {})
        transport = RecordingTransport(link)
        link.connection_made(transport)
        link.data_received(handshake(up.port, f"EIO=4&transport=websocket&sid={sid}"))
        link.data_received(masked(b"2probe"))
        transport.stall()
        link.data_received(masked(b"p" * 100, 0x89) * 100)
        assert link.full
        link.data_received(masked(b"5"))
        written = transport.get_write_buffer_size()
        for _ in range(50):
            endpoint.opens[0].send(encode_event("filler", "x" * 10_000))
        assert not endpoint.opens[0].closed
        assert endpoint.opens[0].backlog() == 50
        assert transport.get_write_buffer_size() == written
        endpoint.opens[0].send(encode_event("filler", "x"))
        assert endpoint.opens[0].closed


async def test_who_connects_again_and_again_gets_no_new_limits() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.raw() as client:
        await client.send(*(["40", '42["once",1]', "41"] * 30))
        assert await client.closed() == 1002
        assert 15 <= len(endpoint.events) <= 20


async def test_a_stranger_may_send_a_connect_and_nothing_larger() -> None:
    endpoint = Recorder()
    async with serving(endpoint, WireOptions(auth_bytes=1000)) as up:
        async with up.raw() as client:
            await client.send("40" + "x" * 5000)
            assert await client.closed() == 1009
        async with up.signed_in() as client:
            await client.emit("echo", "x" * 5000, 1)
            assert await client.ack(1) == "x" * 5000
        async with up.signed_in(compression=None) as client:
            await client.websocket.send(iter(['421["echo","', "x" * 5000, '"]']))
            assert await client.ack(1) == "x" * 5000


async def test_live_packets_of_one_turn_stay_within_what_the_transport_is_given() -> None:
    endpoint = Recorder()
    async with serving(endpoint, ROOMY) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        for _ in range(250):
            endpoint.opens[0].send(encode_event("dot", "x" * 30_000, lane=Lane.LIVE))
        await eventually(endpoint.opens[0].backlog)
        (connection,) = up.wire.engine.sessions.values()
        assert connection._link is not None
        assert connection._link.transport.get_write_buffer_size() < ROOMY.ahead_bytes + 31_000


@pytest.mark.parametrize("packet", ["42" + "1" * 5000, "42" + "1" * 17, "42123"])
async def test_long_numbers_are_no_ack_ids(packet: str) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up:
        async with up.raw() as client:
            await client.send(packet)
            assert await client.closed() == 1002
        async with up.signed_in() as client:
            await client.send(packet)
            await client.emit("echo", 1, 5)
            while not (frame := await client.frame()).startswith("435["):
                assert len(frame) < 100
        assert len(endpoint.faults) == 1


async def test_answers_of_one_client_never_reach_the_next_one_on_its_connection() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send("41")
        await client.sign_in()
        first, second = endpoint.opens
        first.acknowledge(7, "for the first")
        first.send(encode_event("secret", 1))
        second.acknowledge(8, "for the second")
        assert await client.ack(8) == "for the second"
        second.leave()
        second.acknowledge(9, "too late")
        assert await client.frame() == "41"
        await client.sign_in()
        endpoint.opens[2].acknowledge(1, "now")
        assert await client.ack(1) == "now"


async def test_a_ping_is_not_behind_what_a_slow_reader_has_not_read() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=64 << 20, ping_interval_seconds=0.2, ping_timeout_seconds=10)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await fill(endpoint)
        for _ in range(1000):
            endpoint.opens[0].send(encode_event("filler", "x" * 10_000))
        await eventually(lambda: len(up.wire.engine._pongs))
        client.read_on()
        read = await client.read_until(b"\x81\x012")
        assert read.count(b"filler") < 900
