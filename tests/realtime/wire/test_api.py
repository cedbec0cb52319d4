"""python-socketio's API over our sockets, with its own client at the other end, on one node and on two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import socketio
from prometheus_client import CollectorRegistry
from socketio.exceptions import TimeoutError as LibraryTimeout

from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from realtime.bus.metrics import BusMetrics
from realtime.bus.rooms import RedisRooms
from realtime.wire import manager
from realtime.wire.options import WireOptions
from realtime.wire.questions import Answers
from realtime.wire.server import Wire
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.serving import Serving, serving
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


class Phone:
    """A client that writes down what it hears and answers what it is asked."""

    def __init__(self, answer: object = None) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[Any, ...]] = []
        self.answer = answer
        self.client.on("*", self._hear, namespace="/chat")

    @property
    def sid(self) -> str:
        sid: str = self.client.get_sid("/chat")
        return sid

    async def _hear(self, event: str, *arguments: object) -> object:
        self.heard.append((event, *arguments))
        if isinstance(self.answer, asyncio.Event):
            await self.answer.wait()
            return None
        return self.answer


@asynccontextmanager
async def phones(*ups: Serving, answers: list[object] | None = None, **options: Any) -> AsyncIterator[list[Phone]]:
    made = [Phone(answer) for answer in answers or [None] * len(ups)]
    try:
        for phone, up in zip(made, ups, strict=True):
            await phone.client.connect(up.url, namespaces=["/chat"], **options)
        yield made
    finally:
        for phone in made:
            await phone.client.disconnect()


def add_handlers(wire: Wire) -> None:
    @wire.on("join", namespace="/chat")
    async def join(sid: str, room: str) -> str:
        await wire.enter_room(sid, room, namespace="/chat")
        return sid


async def join(phone: Phone, room: str) -> None:
    assert await phone.client.call("join", room, namespace="/chat") == phone.sid


@pytest.fixture
async def up() -> AsyncIterator[Serving]:
    async with serving(None) as served:
        add_handlers(served.wire)
        yield served


@pytest.mark.parametrize("options", [{"transports": ["websocket"]}, {"transports": ["polling"]}, {}])
async def test_emits_to_rooms_and_clients(up: Serving, options: Any) -> None:
    wire = up.wire
    async with phones(up, up, up, **options) as (a, b, c):
        await join(a, "x")
        await join(b, "x")
        await wire.emit("everybody", namespace="/chat")
        await wire.emit("room", {"n": 1}, room="x", namespace="/chat")
        await wire.emit("to", (1, b"\x00\xff", None), to=[a.sid, "x"], skip_sid=b.sid, namespace="/chat")
        await wire.send("text", to=c.sid, namespace="/chat")
        await wire.emit("nobody", to=[], namespace="/chat")
        await wire.close_room("x", namespace="/chat")
        await wire.emit("nobody", room="x", namespace="/chat")
        await wire.emit("end", namespace="/chat", volatile=not options)
        await eventually(lambda: all(phone.heard and phone.heard[-1] == ("end",) for phone in (a, b, c)))
        assert a.heard[:-1] == [("everybody",), ("room", {"n": 1}), ("to", 1, b"\x00\xff", None)]
        assert b.heard[:-1] == [("everybody",), ("room", {"n": 1})]
        assert c.heard[:-1] == [("everybody",), ("message", "text")]
        expected = "polling" if options.get("transports") == ["polling"] else "websocket"
        assert wire.transport(a.sid, "/chat") == expected


async def test_calls_and_callbacks(up: Serving) -> None:
    wire = up.wire
    async with phones(up, up, up, answers=["one", ("t", 2), None]) as (a, b, c):
        assert await wire.call("q", to=a.sid, namespace="/chat") == "one"
        assert await wire.call("q", sid=b.sid, namespace="/chat") == ("t", 2)
        assert await wire.call("q", {"deep": []}, to=c.sid, namespace="/chat") is None
        answered: list[Any] = []

        async def later(*values: object) -> None:
            answered.append(values)

        await wire.emit("q", to=a.sid, namespace="/chat", callback=lambda *values: answered.append(values))
        await wire.emit("q", to=b.sid, namespace="/chat", callback=later)
        await eventually(lambda: sorted(answered) == [("one",), ("t", 2)])
        assert await wire.ask("q", namespace="/chat", timeout=30) == Answers(
            {a.sid: ["one"], b.sid: ["t", 2], c.sid: []}
        )
        assert wire.emitter.expected == 0


async def test_calls_that_nobody_answers(up: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    wire, never = up.wire, asyncio.Event()
    async with phones(up, up, answers=[never, never]) as (a, b):
        with pytest.raises(LibraryTimeout):
            await wire.call("q", to=a.sid, namespace="/chat", timeout=0.05)
        with pytest.raises(LibraryTimeout):
            await wire.call("q", to="stranger", namespace="/chat")
        with pytest.raises(ValueError, match="broadcast"):
            await wire.call("q", namespace="/chat")
        leaving = asyncio.create_task(wire.call("q", to=b.sid, namespace="/chat"))
        await eventually(lambda: b.heard)
        await wire.disconnect(b.sid, "/chat")
        with pytest.raises(LibraryTimeout):
            await leaving
        monkeypatch.setattr(manager, "CALLBACK_SECONDS", 0.05)
        for _ in range(50):
            await wire.emit("q", to=a.sid, namespace="/chat", callback=pytest.fail)
        assert wire.emitter.expected == 50
        await eventually(lambda: wire.emitter.expected == 0)
        never.set()


async def test_a_handler_may_call_its_own_client(up: Serving) -> None:
    @up.wire.on("ask me", namespace="/chat")
    async def ask_me(sid: str) -> object:
        return await up.wire.call("q", to=sid, namespace="/chat", timeout=30)

    async with phones(up, answers=["me"]) as (a,):
        assert await a.client.call("ask me", namespace="/chat") == "me"


async def test_sessions(up: Serving) -> None:
    wire = up.wire
    async with phones(up) as (a,):
        async with wire.session(a.sid, "/chat") as session:
            session["name"] = "Ada"
        assert await wire.get_session(a.sid, "/chat") == {"name": "Ada"}
        await wire.save_session(a.sid, {"name": "Bea"}, "/chat")
        assert await wire.get_session(a.sid, "/chat") == {"name": "Bea"}
    with pytest.raises(KeyError):
        await wire.get_session("stranger", "/chat")


async def test_rooms_that_cannot_be_entered(up: Serving) -> None:
    async with phones(up, up) as (a, b):
        for sid, room, error in (
            ("stranger", "x", ValueError),
            (a.sid, b.sid, ValueError),
            (a.sid, "", ValueError),
            (a.sid, 7, TypeError),
        ):
            with pytest.raises(error):
                await up.wire.enter_room(sid, room, namespace="/chat")
        unfit: list[Any] = [5, [7], b"x"]
        for rooms in unfit:
            with pytest.raises(TypeError, match="named by a str, not by int"):
                await up.wire.emit("e", room=rooms, namespace="/chat")
        for send in (up.wire.emit, up.wire.ask, up.wire.call):
            with pytest.raises(ValueError, match="'disconnect' is a reserved event name"):
                await send("disconnect", to=a.sid, namespace="/chat")
        with pytest.raises(TypeError):
            await up.wire.emit("e", object(), namespace="/chat")


@pytest.mark.parametrize(
    "use",
    [
        lambda wire: wire.attach(None),
        lambda wire: wire.manager.pre_connect("eio", "/"),
        lambda wire: wire.manager.sid_from_eio_sid("eio", "/"),
    ],
)
async def test_what_is_not_offered_says_so(up: Serving, use: Callable[[Wire], object]) -> None:
    with pytest.raises(NotImplementedError):
        use(up.wire)


@asynccontextmanager
async def two_nodes(
    url: str, prepare: Callable[[Wire], object] = lambda wire: None
) -> AsyncIterator[tuple[Serving, Serving]]:
    options = options_of(url, timeout_seconds=5)
    async with AsyncExitStack() as stack:
        ups, tasks = [], []
        for name in ("one", "two"):
            rooms = RedisRooms(name, SystemClock(), options, BusMetrics(CollectorRegistry()))
            tasks.append(asyncio.create_task(rooms.run()))
            await eventually(lambda rooms=rooms: rooms.connected)
            ups.append(await stack.enter_async_context(serving(None, WireOptions(node_name=name), rooms, prepare)))
            add_handlers(ups[-1].wire)
        yield ups[0], ups[1]
        await stack.aclose()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_two_nodes(own_redis: RedisServer) -> None:
    async with two_nodes(own_redis.url) as (one, two), phones(one, two, two, answers=["a", "b", "c"]) as (a, b, c):
        assert (a.sid.partition(".")[0], b.sid.partition(".")[0]) == ("one", "two")
        await join(a, "x")
        await join(b, "x")
        wire = one.wire
        assert (await wire.ask("q", room_of("x"), to="x", namespace="/chat")).given == {a.sid: ["a"], b.sid: ["b"]}
        assert await wire.call("q", b"\x01", to=c.sid, namespace="/chat") == "c"
        await wire.emit("room", 1, room="x", skip_sid=a.sid, namespace="/chat")
        await wire.emit("local", namespace="/chat", ignore_queue=True)
        await wire.emit("end", namespace="/chat")
        await eventually(lambda: all(phone.heard[-1] == ("end",) for phone in (a, b, c)))
        assert a.heard == [("q", {"room": "x"}), ("local",), ("end",)]
        assert b.heard == [("q", {"room": "x"}), ("room", 1), ("end",)]
        assert c.heard == [("q", b"\x01"), ("end",)]
        own_redis.pause()
        with turned_clock() as clock:
            with pytest.raises(Unavailable):
                await clock.within(10, wire.emit("e", namespace="/chat"))
            with pytest.raises(Unavailable):
                await clock.within(10, wire.call("e", to=b.sid, namespace="/chat"))
        assert await wire.call("e", to=a.sid, namespace="/chat") == "a", "a client of this node needs no Redis"
        own_redis.resume()


def room_of(name: str) -> dict[str, str]:
    return {"room": name}
