"""Live rows between nodes: one batch a channel and tick over sharded pub/sub, and the newest row of each rider kept.

Promises: what `publish` returned for has happened; a node that does not hear any more notices by its heartbeat,
reconnects, and says so (`on_restored`), so that it can read what it missed. Which row wins is decided by the bytes of
its rank alone; what else is in a row is the hub's business.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from realtime.bus.connections import BusOptions, Command, RedisLink, Script
from realtime.bus.metrics import BusMetrics
from realtime.bus.redis_clock import RedisClock
from realtime.bus.rows import ROW_BYTES
from realtime.bus.subscriber import Subscriber
from realtime.bus.takeover import WHERE_SECONDS, where_key

_FORMAT = b"\x01"
_SENDER_BYTES = 16
"""Chance marks what a bus has sent itself: names of nodes may be of any length and begin alike."""

_log = structlog.get_logger(__name__)


def _heard_on(channel: str) -> str:
    return f"bus:{{{channel}}}"


def kept_in(channel: str) -> str:
    """The hash that keeps the newest row of each rider on a channel, by the rider's number (8 bytes, big-endian)."""
    return f"live:{{{channel}}}"


@dataclass(frozen=True)
class Delivered:
    """What became of a published batch: nodes that heard it (this one included when it listens), and rows that lost.

    `outranked` are rows that Redis had with a higher rank than the one published: the truth to merge.
    """

    receivers: int
    outranked: bytes


@dataclass(frozen=True)
class Where:
    """Which channels a rider's dot is on, by the node that holds this generation of it."""

    rider: int
    generation: int
    channels: frozenset[str]
    policy: int = 0
    """The version of the policy that puts it there."""


class RedisBus:
    """This node's part of the fan-out. `node_id` is unique to the process, and of any length."""

    def __init__(self, node_id: str, clock: Clock, options: BusOptions, metrics: BusMetrics) -> None:
        self.redis_clock = RedisClock(clock)
        self._clock = clock
        self._options = options
        self._metrics = metrics
        self._node_id = node_id
        self._sender = secrets.token_bytes(_SENDER_BYTES)
        self._header = _FORMAT + self._sender
        self._put, self._read, self._settle = Script("live_put"), Script("live_read"), Script("settle")
        self._link = RedisLink(options, name="bus", scripts=[self._put, self._read, self._settle])
        self._clock_link = RedisLink(options, name="bus-clock", deadline_seconds=options.timeout_seconds)
        self._on_rows: Callable[[str, bytes], None] = lambda channel, rows: None
        self._on_restored: Callable[[], None] = lambda: None
        self._subscriber = Subscriber(
            clock,
            options,
            on_message=self._message,
            on_restored=self._restored,
            on_proof=self._proved,
            name="bus-ear",
        )

    def attach(self, on_rows: Callable[[str, bytes], None], on_restored: Callable[[], None]) -> None:
        """Give rows of other nodes to `on_rows`; call `on_restored` when hearing begins, at first and after a loss."""
        self._on_rows = on_rows
        self._on_restored = on_restored

    @property
    def connected(self) -> bool:
        """Whether this node is subscribed to what it wishes, and has heard itself recently."""
        return self._subscriber.connected

    @property
    def subscriptions(self) -> int:
        """Channels that this node wishes to hear."""
        return len(self._subscriber)

    @property
    def connections(self) -> int:
        """Connections that hear: on a cluster one for each master."""
        return self._subscriber.connections

    @property
    def losses(self) -> int:
        """How often a connection that hears was lost, or a channel moved away from one."""
        return self._subscriber.losses

    def heard_seconds_ago(self) -> float:
        """The age of the last heartbeat that went through Redis and back; infinite before the first.

        On a cluster, of the oldest of each master's last one.
        """
        return self._subscriber.heard_seconds_ago()

    async def publish(self, batches: Mapping[str, bytes]) -> dict[str, Delivered]:
        """Keep and publish rows by channel. Raises Unavailable when any of it is not known to have happened.

        Sending the same rows again is harmless: a row that is kept already is not published twice.
        """
        groups = self._link.together(batches, name=_heard_on)
        answers = await self._link.batch([self._put_rows(group, batches) for group in groups])
        return {
            channel: Delivered(answer[2 * number], answer[2 * number + 1])
            for group, answer in zip(groups, answers, strict=True)
            for number, channel in enumerate(group)
        }

    def _put_rows(self, channels: list[str], batches: Mapping[str, bytes]) -> Command:
        keys: list[str] = []
        for channel in channels:
            keys += (kept_in(channel), _heard_on(channel))
        rows = [batches[channel] for channel in channels]
        return self._put.call(keys, self._header, ROW_BYTES, self._options.keep_seconds, *rows)

    async def settle(self, places: Iterable[Where]) -> set[int]:
        """Record where dots are; the answer is the riders whom another node has taken over. Raises Unavailable."""
        places = list(places)
        answers = await self._link.batch(
            [
                self._settle.call(
                    [where_key(where.rider)],
                    where.generation,
                    " ".join(sorted(where.channels)),
                    WHERE_SECONDS,
                    self._node_id,
                    where.policy,
                )
                for where in places
            ]
        )
        return {where.rider for where, ours in zip(places, answers, strict=True) if not ours}

    async def subscribe(self, channel: str) -> None:
        """Return once Redis has confirmed the subscription. Raises Unavailable; the wish stays until `unsubscribe`."""
        await self._subscriber.subscribe(_heard_on(channel))

    def unsubscribe(self, channel: str) -> None:
        """Stop hearing a channel."""
        self._subscriber.unsubscribe(_heard_on(channel))

    async def snapshot(self, channel: str, oldest_ms: int) -> bytes:
        """The kept rows of a channel that are not older. Raises Unavailable."""
        rows: bytes = await self._link.call(*self._read.call([kept_in(channel)], oldest_ms))
        return rows

    async def run(self) -> None:
        """Hear, prove it, and reconnect, until cancelled."""
        try:
            async with TaskOwner("bus") as owner:
                hearing = owner.start(self._subscriber.run(), "subscriber")
                asking = owner.start(self._keep_time(), "clock")
                await asyncio.gather(hearing, asking)
        finally:
            await self._link.aclose()
            await self._clock_link.aclose()

    async def _keep_time(self) -> None:
        """Ask Redis what time it is; of a cluster always the same master."""
        while True:
            asked_at = self._clock.monotonic()
            with contextlib.suppress(Unavailable):
                self.redis_clock.learn(asked_at, *map(int, await self._clock_link.call("TIME")))
            await self._clock.sleep(self._options.heartbeat_seconds)

    def _proved(self, round_trip_seconds: float | None) -> None:
        if round_trip_seconds is None:
            self._metrics.failures.labels("heartbeat").inc()
        else:
            self._metrics.round_trip_seconds.observe(round_trip_seconds)

    def _message(self, name: bytes, message: bytes) -> None:
        if not message.startswith(_FORMAT):
            self._metrics.failures.labels("unknown_format").inc()
            return
        if message[1 : 1 + _SENDER_BYTES] != self._sender:
            self._metrics.batches_heard.inc()
            try:
                self._on_rows(name[5:-1].decode(), message[1 + _SENDER_BYTES :])
            except Exception:  # noqa: BLE001 - one bad message must not deafen every node that hears it
                self._metrics.failures.labels("rows").inc()
                _log.exception("rows_failed")

    def _restored(self) -> None:
        self._on_restored()
