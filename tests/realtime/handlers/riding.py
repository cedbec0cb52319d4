"""Nodes in this process whose riders' dots follow their policies: on a real Redis and a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from domain.kit.clock import ManualClock, SystemClock
from domain.kit.sealed import Sealer
from domain.kit.tasks import TaskOwner
from domain.location.policies import Policies
from domain.sharing.rules import Audience, PolicyChange
from domain.sharing.service import SharingService
from geo.fix import Fix
from realtime.bus.connections import BusOptions
from realtime.bus.policy_cache import RedisPolicyCache
from realtime.bus.takeover import Takeover
from realtime.handlers.location.dot import Dot
from realtime.handlers.location.dots import Dots
from realtime.handlers.location.sharing import PolicyFollower, PolicyKeeper
from realtime.handlers.location.withdrawals import PATIENCE_SECONDS, Withdrawals
from realtime.hub.options import HubOptions
from tests.realtime.hub.riders import VIENNA, Phone, make_node, now_ms, running, topics_around
from tests.realtime.hub.riders import Node as HubNode
from tests.support.accounts import SECRET, World, world
from tests.support.waiting import eventually

REDIS_SECONDS = 30.0


@dataclass
class Hints:
    """Announcements of policies: to the node that makes them, as when Redis is away."""

    told: list[tuple[UUID, int]]
    follower: PolicyFollower

    async def policy_changed(self, user_id: UUID, version: int) -> None:
        self.told.append((user_id, version))
        self.follower.policy_changed(user_id, version)


@dataclass
class Node:
    """One node's dots, and those who bring them in line with policies."""

    hub: HubNode
    takeover: Takeover
    cache: RedisPolicyCache
    policies: Policies
    dots: Dots
    withdrawals: Withdrawals
    follower: PolicyFollower
    sharing: SharingService
    hints: Hints
    patience: ManualClock
    """By which this node waits before it takes back what others may have seen to."""

    async def settle(self) -> None:
        """The time has come to take back what nobody else did."""
        await self.patience.turn(PATIENCE_SECONDS)
        await self.withdrawals.settle()

    async def ride(self, rider: "Rider", place: tuple[float, float] = VIENNA) -> None:
        """A phone connects here, and sends a fix."""
        rider.dot = self.dots.arrive(rider.number, rider.user_id)
        await self.dots.take(rider.dot, rider.track, rider, connected_ms=self.dots.now_ms())
        self.move(rider, place)

    def move(self, rider: "Rider", place: tuple[float, float]) -> None:
        assert rider.dot is not None
        self.dots.show(rider.dot, Fix(0, now_ms(), *place), now_ms())

    def leave(self, rider: "Rider") -> None:
        """The phone has gone; no tick has passed since what it did last."""
        assert rider.dot is not None
        self.dots.depart(rider.dot, rider)

    async def told(self) -> None:
        """What happened here has been told to Redis."""

        async def done() -> bool:
            await self.hub.hub.tick()
            return self.hub.hub.levels().unpublished == 0

        await eventually(done)

    async def watcher(self, *places: tuple[float, float]) -> Phone:
        """Somebody who begins to watch the map here."""
        phone = Phone(uuid4().hex)
        await self.hub.hub.listen(phone, topics_around(*places))
        return phone


@dataclass(eq=False)
class Rider:
    """An account whose phone rides."""

    user_id: UUID
    number: int
    track: UUID
    dot: Dot | None = None


@dataclass
class Road:
    """Two nodes, and the accounts of those who ride."""

    shared: World
    one: Node
    two: Node

    async def rider(self, audience: Audience = Audience.PUBLIC) -> Rider:
        user = (await self.shared.rider(f"rider_{uuid4().hex[:12]}")).user
        await self.shared.sharing.set(user.id, audience, None)
        return Rider(user.id, user.rider, uuid4())

    async def commit(self, rider: Rider, audience: Audience) -> PolicyChange:
        """The rider chooses, at a node that dies before it tells anybody."""
        chosen = await self.shared.sharing.set(rider.user_id, audience, None)
        return PolicyChange(rider.user_id, rider.number, chosen.version)


def _node(url: str, shared: World, name: str, tasks: TaskOwner) -> Node:
    clock, options = SystemClock(), BusOptions(url, timeout_seconds=REDIS_SECONDS)
    # Ticks are made by the tests: between two of them a lot may happen.
    hub = make_node(url, clock, name=name, options=HubOptions(tick_seconds=3600), timeout_seconds=REDIS_SECONDS)
    takeover, cache, sealer = Takeover(options, name), RedisPolicyCache(options), Sealer({"test": SECRET}, "test")
    policies = Policies(shared.sharing, cache, sealer)
    dots = Dots(hub.hub, takeover, policies, clock, hub.bus.redis_clock, life_seconds=300)
    patience = ManualClock()
    withdrawals = Withdrawals(dots, policies, patience)
    follower = PolicyFollower(dots, withdrawals, tasks, clock)
    hints = Hints([], follower)
    keeper = PolicyKeeper(hints)
    keeper.attach(policies, withdrawals)
    sharing = SharingService(shared.engine, shared.clock, sealer, keeper, shared.streams)
    return Node(hub, takeover, cache, policies, dots, withdrawals, follower, sharing, hints, patience)


@asynccontextmanager
async def road(redis_url: str, database_url: str) -> AsyncIterator[Road]:
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(world(database_url))
        tasks = await stack.enter_async_context(TaskOwner("riding"))
        nodes = [_node(redis_url, shared, name, tasks) for name in ("one", "two")]
        await stack.enter_async_context(running(*(node.hub for node in nodes)))
        try:
            yield Road(shared, *nodes)
        finally:
            await asyncio.gather(*(link.aclose() for node in nodes for link in (node.takeover, node.cache)))
