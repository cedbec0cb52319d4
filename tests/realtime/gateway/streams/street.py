"""Nodes in this process with real streams: their own cursors and sockets, one database, one Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.accounts.tokens import Identity
from domain.db.engine import create_engine
from domain.kit.clock import ManualClock, SystemClock
from domain.kit.errors import Forbidden, Problem, Unavailable
from domain.kit.sealed import Sealer
from domain.kit.tasks import TaskOwner
from domain.streams.rules import Appended, Head, Slice, user_stream
from domain.streams.service import Streams
from realtime.bus.metrics import BusMetrics
from realtime.bus.stream_hints import RedisStreamHints, hinted_on
from realtime.gateway.client import Client
from realtime.gateway.contracts import Reply
from realtime.gateway.events.session import WatchAgain, WatchedAgain
from realtime.gateway.streams.cursors import Cursors
from realtime.gateway.streams.greetings import Greetings
from realtime.gateway.streams.history import HistoryReader
from realtime.gateway.streams.keeper import COMPARE_SECONDS, Keeper
from realtime.gateway.streams.kinds import StreamKinds
from realtime.gateway.streams.metrics import StreamMetrics
from realtime.gateway.streams.resume import ResumeHandlers
from tests.realtime.bus.ears import options_of
from tests.realtime.gateway import signed
from tests.realtime.serving import RawClient
from tests.support.accounts import SECRET
from tests.support.waiting import eventually


class Word(msgspec.Struct):
    word: str


class Summary(Reply, frozen=True):
    said: str


class Own:
    """Riders' own streams, and those of a club, which admits whom it likes."""

    prefix = "user"

    def from_the_start(self, identity: Identity) -> Sequence[str]:
        return (user_stream(identity.user_id),)

    async def refusals(self, identity: Identity, names: Sequence[str]) -> Mapping[str, Problem]:
        return {name: Forbidden("somebody else's") for name in names if name != user_stream(identity.user_id)}

    async def snapshots(self, identity: Identity, names: Sequence[str]) -> Mapping[str, msgspec.Struct]:
        return {name: Summary(f"all of {name}") for name in names}


class Club(Own):
    """Streams that nobody hears without asking."""

    prefix = "club"

    def from_the_start(self, identity: Identity) -> Sequence[str]:
        return ()

    async def refusals(self, identity: Identity, names: Sequence[str]) -> Mapping[str, Problem]:
        return {name: Forbidden("members only") for name in names if name.endswith("closed")}


@dataclass
class Postgres:
    """The real history, which a test may take away."""

    streams: Streams
    gone: bool = False
    gate: asyncio.Event | None = None
    """When set, whoever asks where streams stand waits for it."""
    reads: list[str] = field(default_factory=list)

    def _note(self, what: str) -> None:
        self.reads.append(what)
        if self.gone:
            raise Unavailable("away", retry_after_ms=1000)

    async def heads(self, streams: Collection[str]) -> dict[str, Head]:
        self._note("heads")
        if self.gate is not None:
            await self.gate.wait()
        return await self.streams.heads(streams)

    async def differing(self, epoch: str, known: Mapping[str, int]) -> dict[str, Head]:
        self._note("differing")
        return await self.streams.differing(epoch, known)

    async def read_all(self, after: Mapping[str, int], limit: int) -> dict[str, Slice]:
        self._note("read_all")
        return await self.streams.read_all(after, limit)


class Watchers:
    async def watch_again(self, client: Client, wanted: WatchAgain) -> WatchedAgain:
        raise Forbidden("not to be watched", field="watch.map")


@dataclass
class StreamNode:
    """One node: its sockets, and its cursors on a clock that the test turns."""

    signed: signed.Node
    streams: Streams
    postgres: Postgres
    hints: RedisStreamHints
    cursors: Cursors
    clock: ManualClock
    registry: CollectorRegistry

    async def say(self, stream: str, *words: str) -> list[int]:
        async with self.streams.writing() as writer:
            return await writer.append_all([(stream, "test:word", Word(word)) for word in words])

    async def time_passes(self, until: Callable[[], object]) -> None:
        """Half seconds pass, until this holds."""

        async def holds() -> object:
            await self.clock.turn(COMPARE_SECONDS / 2)
            return until()

        await eventually(holds)

    async def hears(self, stream: str) -> None:
        """Redis has confirmed that this node hears of the stream."""
        assert self.cursors.get(stream) is not None
        await self.hints._ear.subscribe(hinted_on(stream))

    @property
    def restarts(self) -> float:
        return self.registry.get_sample_value("throttlecove_cursor_restarts_total") or 0.0

    @property
    def gap_events(self) -> float:
        return self.registry.get_sample_value("throttlecove_cursor_gap_events_total") or 0.0


@dataclass
class Silent:
    """The hints of a process that dies before it says anything."""

    unsaid: list[Appended] = field(default_factory=list)

    async def said(self, appended: Sequence[Appended]) -> None:
        self.unsaid.extend(appended)


@dataclass
class Street:
    """Several nodes, and a writer that dies each time it has committed."""

    nodes: list[StreamNode]
    dying: Streams
    silent: Silent

    async def say_and_die(self, stream: str, *words: str) -> None:
        async with self.dying.writing() as writer:
            await writer.append_all([(stream, "test:word", Word(word)) for word in words])


@asynccontextmanager
async def street(database_url: str, redis_url: str, nodes: int = 1) -> AsyncIterator[Street]:
    engine, sealer, silent = create_engine(database_url), Sealer({"test": SECRET}, "test"), Silent()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        up = [await stack.enter_async_context(_node(engine, sealer, redis_url)) for _ in range(nodes)]
        await eventually(lambda: all(node.hints.connected for node in up))
        yield Street(up, Streams(engine, SystemClock(), sealer, silent), silent)


@asynccontextmanager
async def _node(engine: AsyncEngine, sealer: Sealer, redis_url: str) -> AsyncIterator[StreamNode]:
    registry, clock = CollectorRegistry(), ManualClock()
    hints = RedisStreamHints(SystemClock(), options_of(redis_url, heartbeat_seconds=0.05), BusMetrics(registry))
    streams = Streams(engine, SystemClock(), sealer, hints)
    postgres, metrics, kinds = Postgres(streams), StreamMetrics(registry), StreamKinds([Own(), Club()])
    cursors = Cursors(hints, clock, metrics)
    greetings, reader = Greetings(cursors, kinds), HistoryReader(postgres)
    keeper = Keeper(cursors, greetings, postgres, clock)
    hints.attach(cursors.said, keeper.doubt)
    resume = ResumeHandlers(cursors, kinds, reader, Watchers(), metrics)
    async with TaskOwner("street") as owner:
        for name, work in {"hints": hints.run(), "keeper": keeper.run(), "reader": reader.run()}.items():
            owner.start(work, name)
        async with signed.node(more=[resume], streams=greetings) as up:
            yield StreamNode(up, streams, postgres, hints, cursors, clock, registry)


@asynccontextmanager
async def rider(node: StreamNode, user_id: UUID) -> AsyncIterator[RawClient]:
    async with node.signed.rider(user_id=user_id) as client:
        yield client


async def words(client: RawClient, number: int) -> list[tuple[int, str]]:
    """The next events, which are words: their numbers, and what they say."""
    events = [await client.event("test:word") for _ in range(number)]
    return [(event["seq"], event["word"]) for event in events]


async def resume(client: RawClient, positions: Mapping[str, Mapping[str, Any]], ack_id: int = 1, **more: Any) -> Any:
    """The answer to session:resume, which is the next thing that comes."""
    await client.emit("session:resume", {"streams": positions, **more}, ack_id)
    return await client.ack(ack_id)
