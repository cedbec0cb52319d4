"""A gateway with real tokens on a clock that the test turns, behind a real server, and handlers of every kind."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from domain.accounts.rules import Role
from domain.accounts.tokens import TokenIssuer, TokenKeys, TokenVerifier
from domain.kit.clock import ManualClock
from domain.kit.errors import Conflict, Unavailable
from domain.kit.tasks import TaskOwner
from realtime.gateway.client import Client
from realtime.gateway.contracts import Contract, Limit, Payload, Promise, Reply, handles
from realtime.gateway.gateway import Gateway, GatewayOptions, OwnStreams
from realtime.gateway.metrics import GatewayMetrics
from realtime.wire.options import WireOptions
from tests.realtime.serving import RawClient, Serving, serving
from tests.support.waiting import eventually

KEYS = TokenKeys("test", {"test": "a secret of tests that is long enough"})
LIFETIME_SECONDS = 900
MANY = Limit(per_second=1.0, burst=1000)


class Number(Payload, frozen=True):
    number: int
    label: str | None = None


class Numbered(Reply, frozen=True):
    number: int


PLAIN = Contract("test:plain", Number, Promise.NONE, MANY, Numbered)
SLOW = Contract("test:slow", Number, Promise.NONE, MANY, Numbered)
DEFERRED = Contract("test:deferred", Number, Promise.RECORDED, MANY, Numbered)
RAISING = Contract("test:raising", Number, Promise.NONE, MANY)
FEW = Contract("test:few", Number, Promise.NONE, Limit(per_second=2.0, burst=3))
URGENT = Contract("sos:test", Number, Promise.DURABLE, MANY)


LEAVE = "leave"
"""Has `test:few` end its client's namespace."""


class Odd(Exception):
    """Not a problem that is expected."""


@dataclass
class Handlers:
    """Handlers of every kind; `trail` is what they did, in order."""

    trail: list[tuple[str, int]] = field(default_factory=list)
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    deferred: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    raises: Callable[[], Exception] = lambda: Conflict("taken", field="number")

    @handles(PLAIN)
    def plain(self, client: Client, payload: Number) -> Numbered:
        self.trail.append(("plain", payload.number))
        return Numbered(payload.number)

    @handles(SLOW)
    async def slow(self, client: Client, payload: Number) -> Numbered:
        self.trail.append(("slow begins", payload.number))
        await self.gates.setdefault(payload.number, asyncio.Event()).wait()
        self.trail.append(("slow ends", payload.number))
        return Numbered(payload.number)

    @handles(DEFERRED)
    def later(self, client: Client, payload: Number) -> "asyncio.Future[Any]":
        self.trail.append(("deferred", payload.number))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.deferred[payload.number] = future
        return future

    @handles(RAISING)
    async def raising(self, client: Client, payload: Number) -> None:
        raise self.raises()

    @handles(FEW)
    def few(self, client: Client, payload: Number) -> None:
        self.trail.append(("few", payload.number))
        if payload.label == LEAVE:
            client.socket.leave()

    @handles(URGENT)
    async def urgent(self, client: Client, payload: Number) -> None:
        self.trail.append(("urgent", payload.number))


@dataclass
class Ended:
    """What the domain would know of revoked sessions."""

    sessions: set[UUID] = field(default_factory=set)
    unknown: bool = False
    heard: bool = False
    """Whether the gateway has been told of every revocation, so that nobody has to be asked."""
    asked: int = 0
    gate: asyncio.Event | None = None

    def all_heard(self) -> bool:
        return self.heard

    async def is_revoked(self, session_id: UUID) -> bool:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.unknown:
            raise Unavailable("nobody can say", retry_after_ms=1000)
        return session_id in self.sessions


@dataclass
class Watching:
    """A feature's hooks, writing down what they are told."""

    told: list[tuple[str, Client]] = field(default_factory=list)

    def on_connect(self, client: Client) -> None:
        self.told.append(("on", client))

    def on_disconnect(self, client: Client) -> None:
        self.told.append(("off", client))


@dataclass
class Node:
    """One node with one gateway."""

    up: Serving
    gateway: Gateway
    clock: ManualClock
    handlers: Handlers
    ended: Ended
    hooks: Watching
    metrics: CollectorRegistry
    user_id: UUID = field(default_factory=uuid4)
    session_id: UUID = field(default_factory=uuid4)

    def token(self, keys: TokenKeys = KEYS, **claims: Any) -> str:
        """A token of this test's rider, or with other claims."""
        issuer = TokenIssuer(keys, self.clock, LIFETIME_SECONDS)
        mine = {"user_id": self.user_id, "rider": 7, "username": "ada", "session_id": self.session_id}
        return issuer.issue(**{**mine, "role": Role.USER, "device_id": "phone", **claims})

    def auth(self, **claims: Any) -> dict[str, object]:
        return {"token": self.token(**claims), "device_id": claims.get("device_id", "phone")}

    @asynccontextmanager
    async def rider(self, **claims: Any) -> AsyncIterator[RawClient]:
        """Past `session:ready`."""
        async with self.up.signed_in(self.auth(**claims)) as client:
            client.ready = await client.event("session:ready")
            yield client

    async def refusal(self, auth: object) -> dict[str, Any]:
        """Why this CONNECT is refused."""
        async with self.up.raw() as client:
            await client.send("40" + ("" if auth is None else json.dumps(auth)))
            frame = await client.frame()
            assert frame.startswith("44"), frame
            body: dict[str, Any] = json.loads(frame[2:])
            assert body["message"]
            return body["data"]

    async def turn(self, seconds: float) -> None:
        """Turn the clock once the watch over sessions is asleep."""
        await eventually(lambda: self.clock.sleepers)
        await self.clock.turn(seconds)

    def counted(self, event: str, outcome: str) -> float:
        return self.metrics.get_sample_value("throttlecove_events_total", {"event": event, "outcome": outcome}) or 0.0


@asynccontextmanager
async def node(
    options: GatewayOptions | None = None,
    wire: WireOptions | None = None,
    more: Sequence[object] = (),
    streams: OwnStreams | None = None,
) -> AsyncIterator[Node]:
    """A node that is up, and gone at the end of the block; with `more` handlers, and streams."""
    clock, handlers, ended, hooks, metrics = ManualClock(), Handlers(), Ended(), Watching(), CollectorRegistry()
    async with TaskOwner("gateway") as owner:
        gateway = Gateway(
            [handlers, *more],
            verifier=TokenVerifier(KEYS, clock),
            revocations=ended,
            clock=clock,
            owner=owner,
            metrics=GatewayMetrics(metrics),
            options=options or GatewayOptions(),
            hooks=[hooks],
            streams=streams,
        )
        owner.start(gateway.run(), "sessions")
        async with serving(gateway, wire) as up:
            yield Node(up, gateway, clock, handlers, ended, hooks, metrics)
