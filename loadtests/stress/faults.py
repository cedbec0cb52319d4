"""Does what the schedule says to the real processes, and knows from when to when each thing was disturbed.

A fault is healed when what it took away answers again: not when it was told to come back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from loadtests.stress import redises
from loadtests.stress.schedule import Fault, Kind, Mending
from loadtests.stress.system import Node, System
from server.stack import RedisServer

_OVERFLOW_BYTES = 200_000
_DEFAULT_BUFFER = "33554432 8388608 60"
_TINY_BUFFER = "4096 0 0"


@dataclass
class Happened:
    """One fault as it was done; times by the monotonic clock of this program."""

    fault: Fault
    began: float
    healed: float | None = None
    in_flight: dict[str, int] = field(default_factory=dict)
    """What was under way at that moment, by traffic."""
    right_after: list[float] = field(default_factory=list)
    """Seconds from the healing until a watcher saw a rider where it was then, for each pair that it concerned."""

    @property
    def hit_work(self) -> bool:
        """Whether anything was under way."""
        return any(self.in_flight.values())

    def lasts_at(self, moment: float) -> bool:
        """Whether it was not healed yet."""
        return self.began <= moment and (self.healed is None or moment < self.healed)


class Timeline:
    """What was disturbed when."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []

    def going_on(self) -> list[Happened]:
        """The faults that are not healed."""
        return [each for each in self.happened if each.healed is None]

    def of(self, kinds: Collection[Kind], node: int | None = None) -> list[Happened]:
        """The faults of these kinds that concern a node: its own, and those of everybody."""
        return [
            each
            for each in self.happened
            if each.fault.kind in kinds and (each.fault.node is None or each.fault.node == node)
        ]


class Faults:
    """Does them."""

    def __init__(self, system: System, timeline: Timeline, say: Callable[[str], None]) -> None:
        self._system = system
        self._timeline = timeline
        self._say = say
        self._doers: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.REDIS_KILLED: self._redis_killed,
            Kind.REDIS_PAUSED: self._redis_paused,
            Kind.REDIS_REFUSES: self._redis_refuses,
            Kind.REDIS_SLOW: self._redis_slow,
            Kind.REDIS_FAILOVER: self._redis_failover,
            Kind.SUBSCRIBERS_KILLED: self._subscribers_killed,
            Kind.SUBSCRIBERS_OVERFLOW: self._subscribers_overflow,
            Kind.POSTGRES_RESTARTED: self._postgres_restarted,
            Kind.WORKER_KILLED: self._worker_killed,
            Kind.NODE_KILLED: self._node_killed,
            Kind.NODE_PAUSED: self._node_paused,
            Kind.NODE_STOPPED: self._node_stopped,
            Kind.NODE_CUT: self._node_cut,
            Kind.NODE_DEAF: self._node_deaf,
        }

    async def do(self, fault: Fault, in_flight: dict[str, int]) -> None:
        """Do it, keep it up, take it back, and return when it is healed."""
        happened = Happened(fault, time.monotonic(), in_flight=in_flight)
        self._timeline.happened.append(happened)
        self._say(f"{fault.kind} {_details(fault)}in flight: {in_flight}")
        await self._doers[fault.kind](fault)
        happened.healed = time.monotonic()
        self._say(f"{fault.kind} healed after {happened.healed - happened.began:.2f} s")

    # Redis

    async def _redis_killed(self, fault: Fault) -> None:
        server = self._system.redises.current()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(server.start)
        await redises.until_whole(self._system.redises)

    async def _redis_paused(self, fault: Fault) -> None:
        server = self._system.redises.current()
        await asyncio.to_thread(server.pause)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(server.resume)
        await redises.until_whole(self._system.redises)

    async def _redis_refuses(self, fault: Fault) -> None:
        server = self._system.redises.current()
        await asyncio.to_thread(server.refuse)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(server.start)
        await redises.until_whole(self._system.redises)

    async def _redis_slow(self, fault: Fault) -> None:
        for node in self._system.nodes:
            node.proxy.slow_down(fault.delay)
        await asyncio.sleep(fault.seconds)
        for node in self._system.nodes:
            node.proxy.slow_down(0.0)

    async def _redis_failover(self, _fault: Fault) -> None:
        await self._system.redises.fail_over()
        await redises.until_whole(self._system.redises)

    async def _subscribers_killed(self, _fault: Fault) -> None:
        for server in self._system.redises.masters():
            await asyncio.to_thread(redises.tell, server, "CLIENT", "KILL", "TYPE", "pubsub")

    async def _subscribers_overflow(self, _fault: Fault) -> None:
        for server in self._system.redises.masters():
            await asyncio.to_thread(_overflow, server)

    # Postgres and the worker

    async def _postgres_restarted(self, fault: Fault) -> None:
        postgres = self._system.postgres
        await asyncio.to_thread(postgres.kill)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(postgres.start)

    async def _worker_killed(self, fault: Fault) -> None:
        await self._system.kill_worker()
        await asyncio.sleep(fault.seconds)
        self._system.start_worker()

    # Nodes

    async def _node_killed(self, fault: Fault) -> None:
        node = self._node(fault)
        await node.kill()
        await asyncio.sleep(fault.seconds)
        node.start()
        await node.until_ready()

    async def _node_stopped(self, fault: Fault) -> None:
        node = self._node(fault)
        status = await node.end()
        if status:
            self._say(f"{node.name} ended with status {status}")
        await asyncio.sleep(fault.seconds)
        node.start()
        await node.until_ready()

    async def _node_paused(self, fault: Fault) -> None:
        node = self._node(fault)
        node.pause()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            node.wake()

    async def _node_cut(self, fault: Fault) -> None:
        proxy = self._node(fault).proxy
        proxy.hold()
        await asyncio.sleep(fault.seconds)
        if fault.mending is Mending.RESETS:
            proxy.reset()
        elif fault.mending is Mending.FORGETS:
            proxy.forget()
        proxy.go_on()

    async def _node_deaf(self, fault: Fault) -> None:
        self._node(fault).proxy.deafen()

    def _node(self, fault: Fault) -> Node:
        if fault.node is None:
            raise LookupError(f"{fault.kind} names no node")
        return self._system.nodes[fault.node]


def _details(fault: Fault) -> str:
    parts = [
        f"for {fault.seconds:g} s" if fault.seconds else "",
        "" if fault.node is None else f"node {fault.node + 1}",
        f"{fault.delay * 1000:.0f} ms late" if fault.delay else "",
        fault.mending or "",
    ]
    return "".join(f"{part}, " for part in parts if part)


def _overflow(server: RedisServer) -> None:
    """Have Redis kill its subscribers as those who do not keep up: what is waiting for each is over the limit."""
    redises.tell(server, "CONFIG", "SET", "client-output-buffer-limit", f"pubsub {_TINY_BUFFER}")
    try:
        found = redises.tell(server, "PUBSUB", "SHARDCHANNELS")
        for channel in found if isinstance(found, list) else []:
            redises.tell(server, "SPUBLISH", channel, b"\0" * _OVERFLOW_BYTES)
    finally:
        redises.tell(server, "CONFIG", "SET", "client-output-buffer-limit", f"pubsub {_DEFAULT_BUFFER}")
