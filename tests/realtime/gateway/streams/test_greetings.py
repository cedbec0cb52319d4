"""What comes before a greeting, on a node that nobody tells where streams stand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from domain.kit.clock import ManualClock
from realtime.gateway.streams.cursors import Cursors
from realtime.gateway.streams.greetings import Greetings
from realtime.gateway.streams.kinds import StreamKinds
from realtime.gateway.streams.metrics import StreamMetrics
from tests.realtime.gateway.signed import LEAVE, Node, node
from tests.realtime.gateway.streams.street import Own
from tests.realtime.gateway.streams.test_cursor_model import Ears
from tests.support.waiting import eventually

quiet = pytest.mark.usefixtures("faultless")


@asynccontextmanager
async def unknowing() -> AsyncIterator[Node]:
    """A node on which every client waits for its greeting until something else brings it about."""
    cursors = Cursors(Ears(), ManualClock(), StreamMetrics(CollectorRegistry()))
    async with node(streams=Greetings(cursors, StreamKinds([Own()]))) as up:
        yield up


@quiet
@pytest.mark.parametrize(("waiting", "characters"), [(32, 1), (2, 100 << 10)])
async def test_who_says_more_than_may_wait_is_greeted_at_once(waiting: int, characters: int) -> None:
    async with unknowing() as up, up.up.signed_in(up.auth()) as client:
        for number in range(waiting + 1):
            await client.emit("test:plain", {"number": number, "label": "x" * characters}, number)
        assert (await client.event("session:ready"))["streams"] == {}
        for number in range(waiting + 1):
            assert await client.ack(number) == {"number": number}


@quiet
async def test_what_brings_a_greeting_about_is_not_heard_of_one_whom_it_made_leave() -> None:
    async with unknowing() as up, up.up.signed_in(up.auth()) as client:
        await client.emit("test:few", {"number": 1, "label": LEAVE})
        await client.emit("sos:test", {"number": 2}, 2)
        await eventually(lambda: [what for what, _ in up.hooks.told] == ["on", "off"])
        assert up.handlers.trail == [("few", 1)]
