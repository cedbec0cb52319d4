"""Keeps the channels that somebody here listens to in step with the other nodes.

For each: subscribe, wait for the confirmation, read the snapshot, merge it. What the subscription brings meanwhile is
merged as it comes, and the order does not matter. After the bus was lost everything is read again.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from realtime.bus.redis_bus import RedisBus
from realtime.hub.records import Item, unpack
from realtime.hub.state import Channel

_AT_ONCE = 32
"""Channels that are read at the same time after a loss."""
_PAUSE_SECONDS = 0.1

_log = structlog.get_logger(__name__)


class Synchroniser:
    """Brings channels in step, again whenever that is needed."""

    def __init__(
        self,
        bus: RedisBus,
        clock: Clock,
        *,
        find: Callable[[str], Channel | None],
        merge: Callable[[str, list[Item]], Awaitable[None]],
        oldest_ms: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._find = find
        self._merge = merge
        self._oldest_ms = oldest_ms
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Channels that are not in step."""
        return len(self._wanted)

    def want(self, channel: Channel) -> asyncio.Future[None]:
        """Bring this channel in step; done once it is, cancelled when nobody listens to it any more."""
        channel.synced = False
        future = self._wanted.get(channel.name)
        if future is None:
            future = self._wanted[channel.name] = asyncio.get_running_loop().create_future()
        self._wake.set()
        return future

    def renew(self, channel: Channel) -> None:
        """Bring this channel in step from the beginning, whatever was read before."""
        channel.epoch += 1
        self.want(channel)

    def give_up(self, channel: Channel) -> None:
        """Nobody listens to this channel any more."""
        self._bus.unsubscribe(channel.name)
        future = self._wanted.pop(channel.name, None)
        if future is not None:
            future.cancel()

    async def run(self) -> None:
        """Bring in step what is wanted, until cancelled; what fails is tried again soon."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                names = list(self._wanted)[:_AT_ONCE]
                failed = [ok for ok in await asyncio.gather(*map(self._bring, names)) if not ok]
                if failed:
                    await self._clock.sleep(_PAUSE_SECONDS)

    async def _bring(self, name: str) -> bool:
        """Whether there was no failure. What could not be finished, or has to be begun again, stays wanted."""
        channel = self._find(name)
        future = self._wanted.pop(name, None)
        if channel is None or future is None:
            return True
        self._wanted[name] = future  # behind the others, in case it fails
        epoch = channel.epoch
        try:
            await self._bus.subscribe(name)
            items = list(unpack(await self._bus.snapshot(name, self._oldest_ms())))
        except Unavailable:
            return self._wanted.get(name) is not future
        except ValueError:
            _log.error("snapshot_unreadable", channel=name)
            items = []
        await self._merge(name, items)
        if self._wanted.get(name) is future and self._find(name) is channel and channel.epoch == epoch:
            del self._wanted[name]
            channel.synced = True
            future.set_result(None)
        return True
