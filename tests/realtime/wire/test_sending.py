"""What leaves: in order, encoded once, many packets in one write, and no task for any of it."""

import asyncio

import pytest
import uvloop

from realtime.wire.interface import STOPPING
from realtime.wire.options import WireOptions
from realtime.wire.packets import Lane, encode_event
from tests.realtime.serving import Recorder, Serving, StalledClient, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def test_order_is_kept_between_events_and_acks() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        socket = endpoint.opens[0]
        for number in range(500):
            if number % 2:
                socket.send(encode_event("number", number))
            else:
                socket.acknowledge(number, number)
        for number in range(500):
            got = await client.event("number") if number % 2 else await client.ack(number)
            assert got == number


async def test_sending_makes_no_task_and_keeps_nothing_while_the_transport_takes_it() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        socket = endpoint.opens[0]
        before = asyncio.all_tasks()
        for number in range(100):
            socket.send(encode_event("number", number))
            assert socket.backlog() == 0
        assert asyncio.all_tasks() == before
        for number in range(100):
            assert await client.event("number") == number


async def test_one_packet_goes_to_many_sockets() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as one, up.signed_in() as two:
        packet = encode_event("all", {"text": "héllo"})
        for socket in endpoint.opens:
            socket.send(packet)
        assert await one.event("all") == await two.event("all") == {"text": "héllo"}


@pytest.mark.parametrize("size", [0, 100, 125, 126, 1000, 65_535, 65_536, 300_000])
async def test_packets_of_every_frame_length_arrive(size: int) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        packet = encode_event("size", "x" * size)
        endpoint.opens[0].send(packet)
        assert await client.event("size") == "x" * size


def transport_of(up: Serving) -> asyncio.Transport:
    link = next(iter(up.wire.engine.sessions.values()))._link
    assert link is not None
    return link.transport


async def slow_reader_gets_everything() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=64 << 20, queue_packets=100_000, ahead_bytes=4096)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        while socket.backlog() < 50:
            socket.send(encode_event("filler", "x" * 30_000))
            await asyncio.sleep(0)
        transport = transport_of(up)
        for _ in range(100):
            socket.send(encode_event("filler", "x" * 30_000))
        await asyncio.sleep(0)
        assert transport.get_write_buffer_size() < 4096 + 31_000
        for number in range(1000):
            socket.send(encode_event("number", number))
        client.read_on()
        seen = b""
        for number in range(1000):
            seen = await client.read_until(f'["number",{number}]'.encode())
            if number:
                assert f'["number",{number - 1}]'.encode() not in seen
        await eventually(lambda: socket.backlog() == 0)
        assert not socket.closed


async def test_the_transport_is_given_a_little_ahead_however_much_is_sent_in_one_turn() -> None:
    endpoint = Recorder()
    options = WireOptions(queue_bytes=64 << 20, ahead_bytes=4096)
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        socket = endpoint.opens[0]
        for _ in range(1000):
            socket.send(encode_event("filler", "x" * 30_000))
        transport = transport_of(up)
        assert transport.get_write_buffer_size() < 4096 + 31_000
        assert 0 < socket.backlog() < 1000


async def test_a_reader_that_was_slow_gets_everything_in_order() -> None:
    await slow_reader_gets_everything()


def test_the_same_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(slow_reader_gets_everything())


async def test_live_packets_of_one_turn_leave_in_one_write_and_what_is_durable_keeps_its_place() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        socket = endpoint.opens[0]
        writes = count_writes(up)
        for number in range(50):
            socket.send(encode_event("dot", number, lane=Lane.LIVE))
        assert writes == []
        for number in range(50):
            assert await client.event("dot") == number
        assert len(writes) == 1
        socket.send(encode_event("dot", 50, lane=Lane.LIVE))
        socket.send(encode_event("word", 51))
        socket.send(encode_event("dot", 52, lane=Lane.LIVE))
        assert [await client.event("dot"), await client.event("word"), await client.event("dot")] == [50, 51, 52]


async def test_what_is_held_for_the_end_of_a_turn_is_not_sent_after_a_close() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        endpoint.opens[0].send(encode_event("dot", 1, lane=Lane.LIVE))
        endpoint.opens[0].close(STOPPING)
        assert (await client.event("error"))["code"] == STOPPING.code
        assert await client.closed() == STOPPING.status


def count_writes(up: Serving) -> list[int]:
    """Sizes of what the only connection writes from now on."""
    sizes: list[int] = []
    transport = transport_of(up)
    written = transport.write

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

        def write(self, data: bytes) -> None:
            sizes.append(len(data))
            written(data)

    connection = next(iter(up.wire.engine.sessions.values()))
    assert connection._link is not None
    connection._link.transport = Counting()  # type: ignore[assignment]
    connection.write = connection._link.transport.write
    return sizes
