"""What one node does with the clients of another, over a real Redis."""

import pytest

from domain.kit.errors import Unavailable
from realtime.wire.emitting import Audience
from server.stack import RedisServer
from tests.realtime.bus.test_rooms import HELLO, TEXT, nodes, texts
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

NEW = Audience("/chat", ["new"])


async def test_a_client_enters_and_leaves_rooms_from_another_node(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        a, b = await one.join("a"), await two.join("b")
        await one.emitter.enter(b.sid, "new", "/chat")
        assert two.emitter.rooms("/chat").rooms_of(b.sid) == [b.sid, "new"]
        await one.emitter.emit(NEW, HELLO)  # nothing is said to the room before its node hears it
        await eventually(lambda: texts(a, b) == [[], [TEXT]])
        await one.emitter.leave(b.sid, "new", "/chat")
        await one.emitter.leave(b.sid, "never", "/chat")
        assert two.emitter.rooms("/chat").rooms_of(b.sid) == [b.sid]


async def test_a_room_is_closed_on_all_nodes(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two", "three") as (one, two, three):
        sockets = [await node.join(letter, "new") for node, letter in ((one, "a"), (two, "b"), (two, "c"))]
        await three.emitter.close("new", "/chat")
        await eventually(lambda: not any("new" in node.emitter.rooms("/chat").names for node in (one, two)))
        assert not any(socket.closed for socket in sockets)


async def test_a_client_of_another_node_is_disconnected(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b", "x")
        await one.emitter.disconnect(b.sid, "/chat")
        assert b.closed


async def test_who_is_nowhere_cannot_be_moved(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b")
        gone, elsewhere = f"two.{'z' * 20}", f"nowhere.{'z' * 20}"
        for sid in (gone, elsewhere):
            with pytest.raises(KeyError):
                await one.emitter.enter(sid, "new", "/chat")
            await one.emitter.disconnect(sid, "/chat")
        with pytest.raises(ValueError, match="read like a socket's id"):
            await one.emitter.enter(b.sid, gone, "/chat")


async def test_a_node_that_cannot_be_asked_has_moved_nobody_for_sure(own_redis: RedisServer) -> None:
    async with nodes(own_redis.url, "one", "two") as (one, two):
        b = await two.join("b")
        own_redis.kill()
        with pytest.raises(Unavailable):
            await one.emitter.enter(b.sid, "new", "/chat")
        with pytest.raises(Unavailable):
            await one.emitter.close("new", "/chat")
