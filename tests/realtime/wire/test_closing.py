"""A closed socket is closed: the peer reads end-of-file within a second, whatever it does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
import uvloop

from realtime.gateway.codes import SESSION_REVOKED, TOKEN_ENDED
from realtime.wire.interface import OVERFLOWED, STOPPING
from realtime.wire.options import WireOptions
from realtime.wire.packets import encode_event
from tests.realtime.serving import WITHIN_SECONDS, Recorder, StalledClient, masked, serving
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def test_a_peer_that_neither_reads_nor_answers_reads_end_of_file_within_a_second() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, StalledClient.open(up.port) as client:
        await eventually(lambda: endpoint.opens)
        endpoint.opens[0].close(SESSION_REVOKED)
        data = await client.read_to_end()
        assert b'"session_revoked"' in data
        assert b"\x81\x0241" in data
        assert await eventually(lambda: endpoint.ends) == [(endpoint.opens[0], "session_revoked")]


async def test_a_peer_with_full_buffers_is_cut_within_a_second() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=64 << 20)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        packet = encode_event("big", "x" * 100_000)
        while socket.backlog() < 10:
            socket.send(packet)
            await asyncio.sleep(0)
        socket.close(SESSION_REVOKED)
        await eventually(lambda: not up.server.server_state.connections)


async def test_a_peer_that_goes_on_sending_is_told_why_and_cut() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, StalledClient.open(up.port) as client:
        await eventually(lambda: endpoint.opens)
        client.write(masked(b'42["x",{}]') * 1000)
        endpoint.opens[0].close(TOKEN_ENDED)
        client.write(masked(b'42["x",{}]') * 1000)
        data = await client.read_to_end()
        assert b'"token_expired"' in data
        assert len(endpoint.events) < 1000


async def test_the_last_event_says_why_and_only_never_tells_official_clients_to_stay_away() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up:
        for closing, last in ((SESSION_REVOKED, "41"), (TOKEN_ENDED, None)):
            async with up.signed_in() as client:
                endpoint.opens[-1].close(closing)
                told = await client.event("error")
                assert told == {
                    "code": closing.code,
                    "message": closing.message,
                    "reconnect": closing.reconnect.value,
                }
                if last is not None:
                    assert await client.frame() == last
                assert await client.closed() == closing.status


async def test_what_was_queued_is_not_sent_after_a_close() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=64 << 20, close_within_seconds=10)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        while not socket.backlog():
            socket.send(encode_event("filler", "x" * 10_000))
            await asyncio.sleep(0)
        socket.send(encode_event("secret", 1))
        socket.close(SESSION_REVOKED)
        socket.send(encode_event("secret", 2))
        assert socket.backlog() == 0
        client.read_on()
        data = await client.read_to_end()
        assert b"session_revoked" in data
        assert b"secret" not in data


async def test_closing_a_polling_socket_ends_its_poll_and_refuses_later_requests() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        url = up.polling_url(sid=sid)
        assert (await http.post(url, content="40")).text == "ok"
        assert (await http.get(url)).text.startswith("40")
        poll = asyncio.create_task(http.get(url))
        await eventually(lambda: up.wire.engine.sessions[sid].poll is not None)
        endpoint.opens[0].close(SESSION_REVOKED)
        last = (await asyncio.wait_for(poll, WITHIN_SECONDS)).text.split("\x1e")
        assert last[0].startswith('42["error",{"code":"session_revoked"')
        assert last[1:] == ["41"]
        assert (await http.get(url)).status_code == 400
        assert (await http.post(url, content='42["x",{}]')).status_code == 400
        assert endpoint.events == []


async def test_shutdown_is_not_held_up_by_sockets_stalled_peers_or_polls() -> None:
    endpoint = Recorder()
    async with (
        serving(endpoint, WireOptions(queue_bytes=64 << 20)) as up,
        httpx.AsyncClient() as http,
        StalledClient.open(up.port) as stalled,
    ):
        stalled.stop_reading()
        await eventually(lambda: endpoint.opens)
        for _ in range(100):
            endpoint.opens[0].send(encode_event("big", "x" * 100_000))
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        poll = asyncio.create_task(http.get(up.polling_url(sid=sid)))
        await eventually(lambda: up.wire.engine.sessions[sid].poll is not None)
        async with up.signed_in() as client:
            async with asyncio.timeout(WITHIN_SECONDS):
                await up.stop()
            assert (await client.event("error"))["code"] == STOPPING.code
            assert await client.closed() == STOPPING.status
        assert (await poll).text == "1"
        assert up.wire.connections == 0
        assert {reason for _, reason in endpoint.ends} == {STOPPING.code}


async def test_a_stopped_wire_lets_nobody_in() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, httpx.AsyncClient() as http:
        up.wire.stop()
        answer = await http.get(up.polling_url())
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


async def test_a_socket_that_cannot_keep_up_is_closed_and_told_to_resume() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=200_000)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        packet = encode_event("big", "x" * 50_000)
        for _ in range(2000):
            socket.send(packet)
            if socket.closed:
                break
            await asyncio.sleep(0)
        assert socket.closed
        assert (await eventually(lambda: endpoint.ends))[0][1] == OVERFLOWED.code
        await eventually(lambda: not up.server.server_state.connections)


async def test_a_socket_with_too_many_packets_is_closed() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_packets=50, close_within_seconds=10)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        while not socket.backlog():
            socket.send(encode_event("filler", "x" * 10_000))
            await asyncio.sleep(0)
        for _ in range(49):
            socket.send(encode_event("small", 1))
        assert not socket.closed
        socket.send(encode_event("small", 1))
        client.read_on()
        assert OVERFLOWED.code.encode() in await client.read_to_end()


async def test_a_peer_that_does_not_answer_pings_is_gone() -> None:
    endpoint = Recorder()
    options = WireOptions(ping_interval_seconds=0.1, ping_timeout_seconds=0.1)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        await client.read_to_end()
        assert (await eventually(lambda: endpoint.ends))[0][1] == "ping timeout"


async def test_a_peer_that_answers_pings_stays_also_when_polling() -> None:
    endpoint = Recorder()
    options = WireOptions(ping_interval_seconds=30)
    async with (
        serving(endpoint, options) as up,
        up.signed_in(ping_interval=None) as client,
        httpx.AsyncClient() as http,
    ):
        sid = (await http.get(up.polling_url())).text.split('"sid":"')[1].split('"')[0]
        url = up.polling_url(sid=sid)
        await http.post(url, content="40")
        assert (await http.get(url)).text.startswith("40")
        with turned_clock() as clock:
            for _ in range(8):
                await clock.turn(31)
                assert (await http.get(url)).text == "2"
                assert await client.websocket.recv() == "2"
                assert (await http.post(url, content="3")).text == "ok"
                await client.send("3")
                await client.emit("echo", 1, 1)
                assert await client.ack(1) == 1
            assert endpoint.ends == []


@pytest.mark.parametrize(
    "behaviour",
    [
        test_a_peer_that_neither_reads_nor_answers_reads_end_of_file_within_a_second,
        test_a_peer_with_full_buffers_is_cut_within_a_second,
        test_a_peer_that_goes_on_sending_is_told_why_and_cut,
        test_closing_a_polling_socket_ends_its_poll_and_refuses_later_requests,
        test_shutdown_is_not_held_up_by_sockets_stalled_peers_or_polls,
        test_a_socket_that_cannot_keep_up_is_closed_and_told_to_resume,
    ],
)
def test_the_same_on_uvloop(behaviour: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(behaviour())
