"""Live rows between nodes: one batch a channel and tick over sharded pub/sub, and the newest row of each rider kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from domain.kit.clock import Clock
from realtime.bus.connections import BusOptions


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


class RedisBus:
    """This node's part of the fan-out."""

    def __init__(self, node_id: str, clock: Clock, options: BusOptions) -> None:
        raise NotImplementedError

    def attach(self, on_rows: Callable[[str, bytes], None], on_restored: Callable[[], None]) -> None:
        """Give rows of other nodes to `on_rows`; call `on_restored` when hearing began again after a loss."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether this node hears and proved it recently."""
        raise NotImplementedError

    def heard_seconds_ago(self) -> float:
        """The age of the last heartbeat that went through Redis and back; infinite before the first."""
        raise NotImplementedError

    async def publish(self, batches: dict[str, bytes]) -> dict[str, Delivered]:
        """Keep and publish rows by channel. Raises Unavailable when any of it is not known to have happened."""
        raise NotImplementedError

    async def settle(self, places: Iterable[Where]) -> set[int]:
        """Record where dots are; the answer is the riders whom another node has taken over. Raises Unavailable."""
        raise NotImplementedError

    async def subscribe(self, channel: str) -> None:
        """Return once Redis has confirmed the subscription. Raises Unavailable; the wish stays until `unsubscribe`."""
        raise NotImplementedError

    def unsubscribe(self, channel: str) -> None:
        """Stop hearing a channel."""
        raise NotImplementedError

    async def snapshot(self, channel: str, oldest_ms: int) -> bytes:
        """The kept rows of a channel that are not older. Raises Unavailable."""
        raise NotImplementedError

    async def run(self) -> None:
        """Hear, prove it, and reconnect, until cancelled."""
        raise NotImplementedError
