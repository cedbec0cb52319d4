"""What comes before a greeting, on a node that nobody tells where streams stand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from domain.kit.clock import ManualClock
from domain.streams.rules import Appended, Event, Head, user_stream
from realtime.gateway.streams.cursor import Cursor
from realtime.gateway.streams.cursors import Cursors
from realtime.gateway.streams.greetings import Greetings
from realtime.gateway.streams.kinds import StreamKinds
from realtime.gateway.streams.metrics import StreamMetrics
from tests.realtime.gateway.signed import LEAVE, Node, node
from tests.realtime.gateway.streams.street import Own
from tests.realtime.gateway.streams.test_cursor_model import Ears
from tests.realtime.serving import RawClient
from tests.support.waiting import eventually

quiet = pytest.mark.usefixtures("faultless")


@dataclass
class Unknowing:
    """A node on which every client waits for its greeting, until the test or what is said brings that about."""

    node: Node
    cursors: Cursors
    greetings: Greetings

    @asynccontextmanager
    async def rider(self) -> AsyncIterator[tuple[RawClient, Cursor]]:
        """One who waits, and the cursor of its own stream."""
        async with self.node.up.signed_in(self.node.auth()) as client:
            stream = user_stream(self.node.user_id)
            await eventually(lambda: self.cursors.get(stream))
            yield client, next(iter(self.cursors))


@asynccontextmanager
async def unknowing() -> AsyncIterator[Unknowing]:
    cursors = Cursors(Ears(), ManualClock(), StreamMetrics(CollectorRegistry()))
    greetings = Greetings(cursors, StreamKinds([Own()]))
    async with node(streams=greetings) as up:
        yield Unknowing(up, cursors, greetings)


@quiet
@pytest.mark.parametrize(("waiting", "characters"), [(32, 1), (2, 100 << 10)])
async def test_who_says_more_than_may_wait_is_greeted_at_once(waiting: int, characters: int) -> None:
    async with unknowing() as up, up.rider() as (client, _):
        for number in range(waiting + 1):
            await client.emit("test:plain", {"number": number, "label": "x" * characters}, number)
        assert (await client.event("session:ready"))["streams"] == {}
        for number in range(waiting + 1):
            assert await client.ack(number) == {"number": number}


@quiet
async def test_what_brings_a_greeting_about_is_not_heard_of_one_whom_it_made_leave() -> None:
    async with unknowing() as up, up.rider() as (client, _):
        await client.emit("test:few", {"number": 1, "label": LEAVE})
        await client.emit("sos:test", {"number": 2}, 2)
        await eventually(lambda: [what for what, _ in up.node.hooks.told] == ["on", "off"])
        assert up.node.handlers.trail == [("few", 1)]


@quiet
async def test_one_for_whom_too_much_comes_before_its_greeting_has_to_come_back() -> None:
    async with unknowing() as up, up.rider() as (client, cursor):
        up.cursors.place(cursor, Head("e", 0))
        events = tuple(Event(seq, "test:word", b'{"word":"%b"}' % (b"x" * (100 << 10))) for seq in range(1, 7))
        up.cursors.said(Appended(cursor.name, "e", events))
        assert (await client.event("error"))["code"] == "too_slow"
        await eventually(lambda: not len(up.node.gateway))
        assert cursor.idle
        assert cursor.seq == 6


@quiet
async def test_what_comes_after_a_stream_began_anew_and_before_the_greeting_is_not_passed_over() -> None:
    async with unknowing() as up, up.rider() as (client, cursor):
        up.cursors.place(cursor, Head("e", 8))
        up.cursors.restart(cursor, Head("new", 3))
        up.cursors.said(Appended(cursor.name, "new", (Event(4, "test:word", b'{"word":"a"}'),)))
        up.greetings.learnt()
        assert (await client.event("session:streams"))["streams"] == {cursor.name: {"epoch": "new", "head": 3}}
        assert (await client.event("session:ready"))["streams"] == {cursor.name: {"epoch": "new", "head": 3}}
        assert (await client.event("session:streams"))["streams"] == {cursor.name: {"epoch": "new", "head": 4}}
