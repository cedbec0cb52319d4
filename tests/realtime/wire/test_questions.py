"""Questions to sockets: who answered, who left, who was too late; nothing of them stays behind."""

import asyncio
import itertools

import pytest
from msgspec import Raw

from domain.kit.errors import RateLimited
from realtime.wire import emitting
from realtime.wire.arguments import Arguments
from realtime.wire.emitting import Audience, Emitter
from realtime.wire.packets import Packet, encode_event
from realtime.wire.questions import Answers
from tests.realtime.wire.listeners import Listener

pytestmark = pytest.mark.usefixtures("faultless")

X = Audience("/", ["x"])


def asking(ack_id: int) -> Packet:
    return encode_event("well?", ack_id=ack_id)


@pytest.fixture
def emitter() -> Emitter:
    return Emitter(itertools.count(7).__next__)


def join(emitter: Emitter, *sids: str) -> list[Listener]:
    sockets = [Listener(sid) for sid in sids]
    for socket in sockets:
        emitter.rooms("/").add(socket)
        emitter.rooms("/").enter(socket.sid, "x")
    return sockets


async def begun(emitter: Emitter, within: float = 5.0) -> "asyncio.Task[Answers]":
    task = asyncio.create_task(emitter.ask(X, asking, within_seconds=within))
    await asyncio.sleep(0)
    return task


async def test_a_room_answers(emitter: Emitter) -> None:
    a, b, c = join(emitter, "a", "b", "c")
    task = await begun(emitter)
    assert a.heard[0] is b.heard[0] is c.heard[0], "one packet for all"
    assert a.texts == ['427["well?"]']
    assert emitter.expected == 3
    b.answer(1, {"two": 2})
    a.answer()
    c.disconnect()
    assert await task == Answers({"b": [1, {"two": 2}], "a": []}, left=frozenset("c"))
    assert emitter.expected == 0


async def test_who_does_not_answer_in_time_is_named_and_forgotten(emitter: Emitter) -> None:
    a, b = join(emitter, "a", "b")
    task = await begun(emitter, within=0.05)
    a.answer("yes")
    assert await task == Answers({"a": ["yes"]}, late=frozenset("b"))
    assert b.expected == {} and emitter.expected == 0


async def test_nobody_to_ask_is_over_at_once(emitter: Emitter) -> None:
    join(emitter, "a")
    assert await emitter.ask(Audience("/", ["y"]), asking, within_seconds=60) == Answers()
    assert await emitter.ask(Audience("/other"), asking, within_seconds=60) == Answers()


async def test_a_send_may_close_its_socket(emitter: Emitter) -> None:
    a, b = join(emitter, "a", "b")
    a._on_send = a.disconnect
    task = await begun(emitter)
    b.answer(True)
    assert await task == Answers({"b": [True]}, left=frozenset("a"))


async def test_whoever_stops_waiting_leaves_nothing_behind(emitter: Emitter) -> None:
    (a,) = join(emitter, "a")
    task = await begun(emitter)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert a.expected == {} and emitter.expected == 0


async def test_clients_that_never_answer_hold_a_bounded_number_of_callbacks(
    emitter: Emitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitting, "MOST_EXPECTED", 10)
    (a,) = join(emitter, "a")
    questions = [await emitter.begin(X, asking, within_seconds=60) for _ in range(10)]
    with pytest.raises(RateLimited):
        await emitter.begin(X, asking, within_seconds=60)
    assert len(a.expected) == 10
    for question in questions:
        question.end()
    await asyncio.sleep(0)
    assert emitter.expected == 0 and a.expected == {}


async def test_an_answer_that_cannot_be_read_is_none(emitter: Emitter) -> None:
    (a,) = join(emitter, "a")
    task = await begun(emitter)
    ack_id = next(iter(a.expected))
    a.expected.pop(ack_id)(a, Arguments([Raw(b"\x80")], 1))
    assert await task == Answers(left=frozenset("a"))
