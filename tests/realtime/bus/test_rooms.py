"""Rooms over nodes and a real Redis: who hears, who answers, and what an outage costs."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from realtime.bus.metrics import BusMetrics
from realtime.bus.room_messages import room_channel
from realtime.bus.room_speech import MOST_UNSAID_BYTES
from realtime.bus.rooms import RedisRooms
from realtime.bus.subscriber import Subscriber
from realtime.wire.emitting import Audience, Emitter
from realtime.wire.packets import Format, Lane, Packet, encode_event
from realtime.wire.questions import Answers
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.wire.listeners import Listener
from tests.realtime.wire.transports import Clock, all_of, settle, turned_clock
from tests.support.redis_topologies import ask
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

X = Audience("/chat", ["x"])
HELLO = encode_event("hello", {"n": 1}, namespace="/chat")


def asking(ack_id: int) -> Packet:
    return encode_event("well?", namespace="/chat", ack_id=ack_id)


@dataclass
class Node:
    """A node's rooms and its sockets."""

    name: str
    rooms: RedisRooms
    emitter: Emitter
    task: "asyncio.Task[None]"
    metrics: BusMetrics
    sockets: dict[str, Listener] = field(default_factory=dict)

    async def join(self, letter: str, *rooms: str) -> Listener:
        socket = self.sockets[letter] = Listener(f"{self.name}.{letter * 20}")
        self.emitter.rooms("/chat").add(socket)
        for room in rooms:
            await self.emitter.enter(socket.sid, room, "/chat")
        return socket


@asynccontextmanager
async def nodes(url: str, *names: str, **changed: float) -> AsyncIterator[list[Node]]:
    made: list[Node] = []
    for name in names:
        metrics = BusMetrics(CollectorRegistry())
        rooms = RedisRooms(name, SystemClock(), options_of(url, **changed), metrics)
        emitter = Emitter(itertools.count().__next__, rooms)
        made.append(Node(name, rooms, emitter, asyncio.create_task(rooms.run()), metrics))
    try:
        await eventually(lambda: all(node.rooms.connected for node in made))
        yield made
    finally:
        for node in made:
            node.task.cancel()
        await asyncio.gather(*(node.task for node in made), return_exceptions=True)


def texts(*sockets: Listener) -> list[list[str]]:
    return [socket.texts for socket in sockets]


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    """That of the event loop, by which answers are late."""
    with turned_clock() as clock:
        yield clock


TEXT = '42/chat,["hello",{"n":1}]'


async def test_a_room_hears_on_all_nodes_and_nobody_twice(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        a = await one.join("a", "x")
        b, c, d = await two.join("b", "x", "y"), await two.join("c", "y"), await two.join("d")
        await one.emitter.emit(X, HELLO)
        await eventually(lambda: texts(a, b, c, d) == [[TEXT], [TEXT], [], []])
        await one.emitter.emit(Audience("/chat", ["x", "y"]), HELLO)
        await two.emitter.emit(Audience("/chat", ["y"]), encode_event("end", namespace="/chat"))
        await eventually(lambda: [len(socket.heard) for socket in (a, b, c, d)] == [2, 3, 2, 0])
        await one.emitter.emit(Audience("/chat", but=[b.sid, "nobody"]), HELLO)
        await eventually(lambda: [len(socket.heard) for socket in (a, b, c, d)] == [3, 3, 3, 1])
        await one.emitter.emit(Audience("/chat", [c.sid]), HELLO)
        await eventually(lambda: [len(socket.heard) for socket in (a, b, c, d)] == [3, 3, 4, 1])
        await one.emitter.emit(Audience("/chat"), HELLO, here_only=True)
        assert [len(socket.heard) for socket in (a, b, c, d)] == [4, 3, 4, 1]


async def test_a_packet_is_the_same_on_another_node(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        sent = encode_event("blob", b"\x00\xff", {"s": "ü"}, namespace="/chat", lane=Lane.LIVE, binary=True)
        await one.emitter.emit(X, sent, volatile=True)
        await eventually(lambda: b.heard)
        (heard,) = b.heard
        assert (heard.lane, b.volatile) == (Lane.LIVE, [True])
        for form in Format:
            assert heard.frames(form) == sent.frames(form)
            assert heard.payload(form) == sent.payload(form)


async def test_emits_are_heard_in_order(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        packets = [encode_event("n", number, namespace="/chat") for number in range(300)]
        await asyncio.gather(*(one.emitter.emit(X, packet) for packet in packets))
        await eventually(lambda: len(b.heard) == 300)
        assert b.texts == [packet.text for packet in packets]


async def test_emits_that_are_waited_for_and_others_are_heard_in_one_order(any_redis_url: str) -> None:
    async with nodes(any_redis_url, "one", "two") as (one, two):
        a, b = await one.join("a", "y"), await two.join("b", "x")
        packets = [encode_event("n", number, namespace="/chat") for number in range(300)]
        for turn, packet in enumerate(packets):
            if turn % 7:
                one.emitter.emit_nowait(X, packet)
            else:
                await one.emitter.emit(X, packet)
        one.emitter.emit_nowait(Audience("/chat", ["x", "y"], [b.sid]), HELLO)
        one.emitter.emit_nowait(Audience("/chat", ["x", "y"]), HELLO, here_only=True)
        await eventually(lambda: len(b.heard) == 300)
        assert b.texts == [packet.text for packet in packets]
        assert a.texts == [TEXT, TEXT]


async def test_tasks_that_emit_side_by_side_are_heard_in_the_order_of_their_calls(any_redis_url: str) -> None:
    async with nodes(any_redis_url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        packets = [encode_event("n", number, namespace="/chat") for number in range(90)]
        said: list[str] = []

        async def emit(packet: Packet, *, wait: bool) -> None:
            said.append(packet.text)
            if wait:
                await one.emitter.emit(X, packet)
            else:
                one.emitter.emit_nowait(X, packet)

        async def chain(numbers: range, every: int) -> None:
            for number in numbers:
                await emit(packets[number], wait=number % every == 0)
                await asyncio.sleep(0)

        await asyncio.gather(chain(range(30), 2), chain(range(30, 60), 3), chain(range(60, 90), 30))
        await eventually(lambda: len(b.heard) == 90)
        assert b.texts == said


async def test_a_node_that_stops_has_said_what_it_began(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        for _ in range(50):
            one.emitter.emit_nowait(X, HELLO)
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
        assert one.metrics.failures.labels("room_publish")._value.get() == 0
        await eventually(lambda: len(b.heard) == 50)


async def test_what_was_begun_without_a_connection_keeps_its_place(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        ask(own_redis, "CLIENT", "KILL", "TYPE", "normal")
        packets = [encode_event("n", number, namespace="/chat") for number in range(9)]

        async def lost() -> bool:
            return b"rooms-speech" not in await asyncio.to_thread(ask, own_redis, "CLIENT", "LIST")

        await eventually(lost)
        await settle()
        one.emitter.emit_nowait(X, packets[0])
        one.emitter.emit_nowait(X, packets[1])
        await one.emitter.emit(X, packets[2])
        for packet in packets[3:]:
            one.emitter.emit_nowait(X, packet)
        await eventually(lambda: len(b.heard) == 9)
        assert b.texts == [packet.text for packet in packets]


async def test_what_redis_did_not_take_is_counted(own_redis: RedisServer, clock: Clock) -> None:
    async with nodes(own_redis.url, "one", "two", timeout_seconds=30) as (one, two):
        a, _ = await one.join("a", "y"), await two.join("b", "x")
        own_redis.pause()
        for _ in range(3):
            one.emitter.emit_nowait(Audience("/chat", ["x", "y"]), HELLO)
        assert len(a.heard) == 3, "those here have heard it"
        failures = one.metrics.failures.labels("room_publish")
        await clock.turn(61)
        await eventually(lambda: failures._value.get() == 3)
        own_redis.resume()


async def test_a_burst_that_redis_cannot_have_taken_yet_is_refused_from_some_size_on(any_redis_url: str) -> None:
    async with nodes(any_redis_url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        big = encode_event("big", "x" * (1 << 20), namespace="/chat")
        taken = 0
        with pytest.raises(Unavailable):
            while taken < 100:
                one.emitter.emit_nowait(X, big)
                taken += 1
        assert taken == MOST_UNSAID_BYTES >> 20
        await eventually(lambda: len(b.heard) == taken)


async def test_only_rooms_with_a_member_are_subscribed(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two), Redis.from_url(own_redis.url) as redis:
        a = await one.join("a", "x")
        await two.join("b", "y")

        async def heard() -> dict[bytes, int]:
            names = await redis.pubsub_shardchannels("rooms:[ai]*")
            counts = await redis.pubsub_shardnumsub(*names)
            return dict(counts)

        room, everybody = room_channel("/chat", "x").encode(), room_channel("/chat", None).encode()
        other = room_channel("/chat", "y").encode()
        assert await heard() == {room: 1, everybody: 2, other: 1}
        one.emitter.rooms("/chat").remove(a.sid)

        async def vacated() -> bool:
            return await heard() == {everybody: 1, other: 1}

        await eventually(vacated)
        assert one.rooms.subscriptions == 0


async def test_a_room_answers_from_all_nodes(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two", "three") as (one, two, three):
        a = await one.join("a", "x")
        b, c, d = await two.join("b", "x", "y"), await two.join("c", "y"), await three.join("d", "x")
        everybody = Audience("/chat", ["x", "y"], [d.sid])
        task = asyncio.create_task(one.emitter.ask(everybody, asking, within_seconds=30))
        await eventually(lambda: all(socket.expected for socket in (a, b, c)))
        assert {*a.expected, *b.expected, *c.expected} == {*a.expected}, "one id for all"
        assert next(iter(a.expected)) >= 1 << 30 and not d.expected
        a.answer("a")
        b.answer("b", {"deep": [1.5, None]})
        c.disconnect()
        answers = await task
        assert answers == Answers({a.sid: ["a"], b.sid: ["b", {"deep": [1.5, None]}]}, left=frozenset({c.sid}))
        assert [node.rooms.questions for node in (one, two, three)] == [0, 0, 0]


async def test_one_socket_answers_from_another_node(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b")
        task = asyncio.create_task(one.emitter.ask(Audience("/chat", [b.sid]), asking, within_seconds=30))
        await eventually(lambda: b.expected)
        b.answer(b.sid)
        assert (await task).given == {b.sid: [b.sid]}
        gone = await one.emitter.ask(Audience("/chat", ["two." + "z" * 20]), asking, within_seconds=30)
        nobody = await one.emitter.ask(Audience("/chat", ["three." + "z" * 20]), asking, within_seconds=30)
        assert gone == nobody == Answers()


async def test_who_does_not_answer_in_time_is_named(own_redis: RedisServer, clock: Clock) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        a, b, c = await one.join("a", "y"), await two.join("b", "x"), await two.join("c", "x")
        task = asyncio.create_task(one.emitter.ask(X, asking, within_seconds=30))
        await eventually(lambda: b.expected and c.expected)
        c.answer()
        await clock.turn(1)  # answers are reported together, a moment later
        await heard_again(two, a, "y")  # and before that the answer
        await clock.turn(30)
        assert await task == Answers({c.sid: []}, late=frozenset({b.sid}))
        await eventually(lambda: not b.expected and two.emitter.expected == 0)


async def test_a_dead_node_costs_its_sockets_answers_only(own_redis: RedisServer, clock: Clock) -> None:
    async with nodes(own_redis.url, "one", "two", "three") as (one, two, three):
        a, b, c = await one.join("a", "x"), await two.join("b", "x"), await three.join("c", "x")
        task = asyncio.create_task(one.emitter.ask(X, asking, within_seconds=30))
        await eventually(lambda: all(socket.expected for socket in (a, b, c)))
        three.task.cancel()
        a.answer(1)
        b.answer(2)
        await clock.turn(1)  # answers are reported together, a moment later
        await heard_again(two, a, "x")  # and before that the answer
        await clock.turn(31)
        assert await task == Answers({a.sid: [1], b.sid: [2]}, late=frozenset({c.sid}))


async def test_a_node_that_says_nothing_is_counted(own_redis: RedisServer, clock: Clock) -> None:
    options = options_of(own_redis.url)
    mute = Subscriber(SystemClock(), options, on_message=lambda *_: None, on_restored=lambda: None, name="mute")
    hearing = asyncio.create_task(mute.run())
    async with nodes(own_redis.url, "one") as (one,):
        a = await one.join("a", "x")
        mute.wish(room_channel("/chat", "x"))
        await eventually(lambda: mute.restored)
        task = asyncio.create_task(one.emitter.ask(X, asking, within_seconds=30))
        await eventually(lambda: a.expected)
        a.answer()
        await settle()
        await clock.turn(31)
        assert await task == Answers({a.sid: []}, silent_nodes=1)
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


async def test_a_paused_redis_is_said_to_be_unavailable_in_time(own_redis: RedisServer, clock: Clock) -> None:
    async with nodes(own_redis.url, "one", "two", timeout_seconds=30) as (one, two):
        a, b = await one.join("a", "x"), await two.join("b", "x")
        own_redis.pause()
        works = [one.emitter.emit(X, HELLO) for _ in range(100)]
        works += [one.emitter.ask(X, asking, within_seconds=30) for _ in range(3)]  # type: ignore[list-item]
        works.append(one.emitter.enter(a.sid, "new", "/chat"))
        outcomes = await clock.within(60, all_of(works))
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        assert len(a.heard) == 100 and not a.expected, "those here have heard it; nothing waits"
        assert one.emitter.rooms("/chat").rooms_of(a.sid) == [a.sid, "x", "new"]
        own_redis.resume()
        await eventually(lambda: one.rooms.connected and two.rooms.connected)
        await heard_again(two, a, "new")
        assert b.closed is False


async def heard_again(speaker: Node, listener: Listener, room: str) -> None:
    before = len(listener.heard)

    async def said() -> bool:
        await speaker.emitter.emit(Audience("/chat", [room]), HELLO)
        return len(listener.heard) > before

    await eventually(said)


async def test_nodes_hear_again_after_redis_was_killed(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        a, _ = await one.join("a", "x"), await two.join("b", "x")
        own_redis.kill()
        with pytest.raises(Unavailable):
            await two.emitter.emit(X, HELLO)
        own_redis.start()
        await eventually(lambda: one.rooms.losses and two.rooms.losses)
        await eventually(lambda: one.rooms.connected and two.rooms.connected)
        await heard_again(two, a, "x")


async def test_what_is_no_message_is_counted_and_passed_over(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two), Redis.from_url(own_redis.url) as redis:
        a = await one.join("a", "x")
        await redis.spublish(room_channel("/chat", "x"), b"\xc1nonsense")
        await two.emitter.emit(X, HELLO)
        await eventually(lambda: a.texts == [TEXT])


def test_it_is_made_before_there_is_a_loop() -> None:
    rooms = RedisRooms("one", SystemClock(), options_of("redis://127.0.0.1:1"), BusMetrics(CollectorRegistry()))
    assert (rooms.connected, rooms.subscriptions) == (False, 0)
