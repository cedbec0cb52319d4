"""A socket that does not read for a while: what it misses, what it gets first, when it has to come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from domain.kit.clock import SystemClock
from realtime.gateway.codes import SESSION_REVOKED
from realtime.hub.options import HubOptions
from realtime.wire.interface import OVERFLOWED, Socket
from realtime.wire.options import WireOptions
from realtime.wire.packets import Lane, Packet, encode_event
from tests.realtime.hub.riders import NOBODY_THERE, VIENNA, Node, make_node, record, region, topics_around
from tests.realtime.serving import Recorder, StalledClient, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

RIDERS = 100
SLOW_PACKETS = 20
ROOMY = WireOptions(queue_bytes=64 << 20, ahead_bytes=4096, close_within_seconds=10)


class Viewer:
    """A socket as the hub hears it, which is what the gateway's clients are."""

    def __init__(self, socket: Socket) -> None:
        self.id = socket.sid
        self._socket = socket

    def send(self, packet: Packet) -> None:
        self._socket.send(packet)

    def backlog(self) -> int:
        return self._socket.backlog()


@asynccontextmanager
async def stalled(options: WireOptions = ROOMY) -> AsyncIterator[tuple[Socket, StalledClient, Recorder]]:
    """A client past its CONNECT that has stopped reading."""
    endpoint = Recorder()
    async with serving(endpoint, options) as up, StalledClient.open(up.port) as client:
        client.stop_reading()
        await eventually(lambda: endpoint.opens)
        yield endpoint.opens[0], client, endpoint


async def fill(socket: Socket, size: int = 10_000) -> None:
    """Until nothing more goes out."""
    for _ in range(3):
        while not socket.backlog():
            socket.send(encode_event("filler", "x" * size))
            await asyncio.sleep(0)


async def all_up_to(client: StalledClient, end: bytes) -> bytes:
    """All that it reads from now on until this has come."""
    data = b""
    async with asyncio.timeout(20):
        while end not in data[-100:]:
            data += await client._reader.read(1 << 16)
    return data


def events(data: bytes) -> Iterator[tuple[str, Any]]:
    """The events in what a client read: frames of servers are not masked, and ours are whole."""
    at = 0
    while at + 2 <= len(data):
        length, begin = data[at + 1], at + 2
        if length == 126:
            length, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if data[begin : begin + 2] == b"42":
            name, payload = json.loads(data[begin + 2 : begin + length])
            yield name, payload
        at = begin + length


def move(node: Node, version: int) -> None:
    """All riders go a little further."""
    now = SystemClock().epoch_ms()
    for rider in range(1, RIDERS + 1):
        place = (VIENNA[0] + version * 1e-5, VIENNA[1])
        node.hub.put(region(VIENNA), record(rider, version, place, received_ms=now))


async def test_a_slow_reader_is_passed_over_and_catches_up_with_a_snapshot_of_now() -> None:
    every_tick = HubOptions(slow_packets=SLOW_PACKETS, crowd_riders=RIDERS + 1)
    node = make_node(NOBODY_THERE, SystemClock(), options=every_tick)
    (topic,) = topics_around(VIENNA)
    version = 1
    move(node, version)
    async with stalled() as (socket, client, _):
        await node.hub.listen(Viewer(socket), [topic])
        while not node.hub.levels().slow_listeners:
            version += 1
            move(node, version)
            await node.hub.tick()
            await asyncio.sleep(0)  # live packets leave at the end of a turn
        last_heard = version
        waiting = socket.backlog()
        for version in range(last_heard + 1, last_heard + 200):
            move(node, version)
            await node.hub.tick()
        assert socket.backlog() == waiting, "nothing more was queued for it"
        client.read_on()
        reading = asyncio.create_task(all_up_to(client, b'"the end"'))
        await eventually(lambda: socket.backlog() == 0)
        await node.hub.tick()
        assert node.hub.levels().slow_listeners == 0
        version += 1
        move(node, version)
        await node.hub.tick()
        await asyncio.sleep(0)
        socket.send(encode_event("the end", 0, lane=Lane.LIVE))
        frames = [payload for name, payload in events(await reading) if name == "location:frame"]
    at = [index for index, frame in enumerate(frames) if frame.get("snapshot")]
    assert at == [0, len(frames) - 2], "one when it began to listen, one when it had caught up, one frame after that"
    shown = list(latitudes(frames))
    assert shown == [*range(1, last_heard), version - 1, version], "nothing of what it missed came late"


def latitudes(frames: list[dict[str, Any]]) -> Iterator[int]:
    """The version that each frame shows, all its riders alike."""
    origin = 0
    for frame in frames:
        if "origin" in frame:
            origin = round(frame["origin"][0] * 1e5)
        assert len(frame["riders"]) == RIDERS
        (north,) = {row[1] for row in frame["riders"]}
        yield origin + north - round(VIENNA[0] * 1e5)


async def test_an_sos_overtakes_what_is_durable_and_that_what_is_live() -> None:
    async with stalled() as (socket, client, _):
        await fill(socket)
        for number in range(30):
            socket.send(encode_event("live", number, lane=Lane.LIVE))
            socket.send(encode_event("durable", number))
            socket.send(encode_event("sos", number, lane=Lane.SOS))
        client.read_on()
        heard = list(events(await all_up_to(client, b'["live",29]')))
    order = [entry for entry in heard if entry[0] != "filler"]
    assert order == [(name, number) for name in ("sos", "durable", "live") for number in range(30)]


async def test_too_many_bytes_that_wait_end_the_socket_with_the_advice_to_come_back_at_once() -> None:
    options = replace(ROOMY, queue_bytes=50_000)
    async with stalled(options) as (socket, client, endpoint):
        await fill(socket)
        sent = 0
        while not socket.closed:
            socket.send(encode_event("durable", "x" * 1000))
            sent += 1
        assert 35 < sent < 55
        await eventually(lambda: endpoint.ends)
        client.read_on()
        heard = list(events(await client.read_to_end()))
    assert heard[-1] == ("error", {"code": "too_slow", "message": OVERFLOWED.message, "reconnect": "at_once"})
    assert all(name == "filler" for name, _ in heard[:-1]), "nothing durable of after the gap"


async def test_something_durable_that_waits_too_long_ends_it_the_same_way_and_what_is_live_does_not() -> None:
    options = replace(ROOMY, queue_seconds=0.2, ping_interval_seconds=60)
    live = encode_event("live", "x" * 10_000, lane=Lane.LIVE)
    async with stalled(options) as (patient, _, unhurried), stalled(options) as (socket, client, endpoint):
        while patient.backlog() < 10:
            patient.send(live)
            await asyncio.sleep(0)
        while socket.backlog() < 10:
            socket.send(live)
            await asyncio.sleep(0)
        socket.send(encode_event("durable", 1))
        await eventually(lambda: endpoint.ends)
        client.read_on()
        heard = list(events(await client.read_to_end()))
        assert heard[-1][1]["code"] == "too_slow"
        assert heard[-1][1]["reconnect"] == "at_once"
        assert "durable" not in {name for name, _ in heard}
        assert not patient.closed
        assert not unhurried.ends


@pytest.mark.parametrize("lane", list(Lane))
async def test_nothing_that_is_queued_is_sent_after_a_kick(lane: Lane) -> None:
    async with stalled() as (socket, client, endpoint):
        await fill(socket)
        for number in range(100):
            socket.send(encode_event("secret", number, lane=lane))
        socket.close(SESSION_REVOKED)
        socket.send(encode_event("secret", -1, lane=lane))
        assert socket.backlog() == 0
        client.read_on()
        heard = [name for name, _ in events(await client.read_to_end())]
        await eventually(lambda: endpoint.ends)
    assert "secret" not in heard
    assert heard[-1] == "error"
