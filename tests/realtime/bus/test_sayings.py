"""What is said to one room: the same on the other nodes, in its place among other emits, as the libraries write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kit.redis_connections import packed
from realtime.bus.room_messages import Said, Saying, decode
from realtime.wire.emitting import Audience
from realtime.wire.packets import Format, Lane, encode_event
from server.stack import RedisServer
from tests.realtime.bus.test_rooms import Node, nodes
from tests.realtime.wire.listeners import Listener
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def join_both(one: Node, two: Node) -> tuple[Listener, Listener]:
    """A member of room `x` of namespace `/` on either node."""
    a, b = Listener("one." + "a" * 20), Listener("two." + "b" * 20)
    for node, socket in ((one, a), (two, b)):
        node.emitter.rooms("/").add(socket)
        await node.emitter.enter(socket.sid, "x")
    return a, b


async def test_a_usual_event_is_the_same_on_another_node(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        a, b = await join_both(one, two)
        sent = encode_event("hello", {"s": "ü" * 100, "n": 1.5})
        one.emitter.say_nowait("x", sent)
        one.emitter.say_nowait(b.sid, sent)
        live = encode_event("hello", lane=Lane.LIVE)
        one.emitter.say_nowait("x", live)
        one.emitter.emit_nowait(Audience("/", ["x"], [a.sid]), sent)
        one.emitter.emit_nowait(Audience("/"), sent, volatile=True)
        await eventually(lambda: len(b.heard) == 5)
        for heard, said in zip(b.heard, (sent, sent, live, sent, sent), strict=True):
            assert heard.lane == said.lane
            for form in Format:
                assert heard.frames(form) == said.frames(form)
                assert heard.payload(form) == said.payload(form)
        assert b.volatile == [False, False, False, False, True]
        assert [packet.text for packet in a.heard] == [sent.text, live.text, sent.text]
        two.emitter.say_nowait(b.sid, sent)
        two.emitter.say_nowait("two." + "c" * 20, sent)
        two.emitter.say_nowait(a.sid, live)
        await eventually(lambda: len(a.heard) == 4)
        assert (len(b.heard), a.heard[-1].text) == (6, live.text)


async def test_what_is_said_to_one_room_keeps_its_place_among_other_emits(any_redis_url: str) -> None:
    async with nodes(any_redis_url, "one", "two") as (one, two):
        _, b = await join_both(one, two)
        packets = [encode_event("n", number) for number in range(300)]
        for turn, packet in enumerate(packets):
            if turn % 10 == 0:
                await one.emitter.emit(Audience("/", ["x"]), packet)
            elif turn % 3 == 0:
                one.emitter.emit_nowait(Audience("/", ["x"]), packet)
            else:
                one.emitter.say_nowait("x", packet)
        await eventually(lambda: len(b.heard) == 300)
        assert b.texts == [packet.text for packet in packets]


@given(st.text(min_size=1), st.binary(max_size=300) | st.sampled_from([255, 256, 65_535, 65_536, 100_000]).map(bytes))
def test_a_saying_is_what_the_libraries_write(room: str, frame: bytes) -> None:
    saying = Saying("one#1", room, f"rooms:in:/,{room}")
    assert saying.command(frame) == packed([("SPUBLISH", saying.channel, saying.message(frame))])
    assert decode(saying.message(frame)) == Said("one#1", room, frame)
