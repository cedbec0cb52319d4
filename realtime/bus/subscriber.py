"""The ear of a node: one connection in subscriber mode, and the channels that should be heard on it.

Promises: `subscribe` returns only after Redis has confirmed; after a loss every wished channel is subscribed again,
and `on_restored` is called once all are confirmed, because what was said meanwhile is lost. It cannot tell silence from
deafness: `reset` it when a heartbeat does not come through.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from realtime.bus.connections import REDIS_FAILURES, RETRY_AFTER_MS, BusOptions, create_client, heeding_cancellation

_MESSAGES_IN_A_ROW = 64
"""After so many messages the loop gets a turn, however many more have arrived."""

_log = structlog.get_logger(__name__)


class _Wish:
    """A channel that should be heard; the future is done while it is."""

    __slots__ = ("confirmed",)

    def __init__(self) -> None:
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Subscriber:
    """Subscribes to sharded channels and hands their messages over, synchronously, in order of arrival."""

    def __init__(
        self,
        clock: Clock,
        options: BusOptions,
        *,
        on_message: Callable[[bytes, bytes], None],
        on_restored: Callable[[], None],
        name: str,
    ) -> None:
        self._clock = clock
        self._options = options
        self._on_message = on_message
        self._on_restored = on_restored
        self._client = create_client(options, name=name, protocol=2)  # redis-py formats each RESP3 push for its log
        self._wishes: dict[str, _Wish] = {}
        self._unconfirmed: dict[str, int] = {}
        self._orders: list[tuple[str, str]] = []
        self._ordered = asyncio.Event()
        self._connection: asyncio.Task[None] | None = None
        self._speaking = False
        self.restored = False
        self.restored_at = -math.inf
        """When hearing began, by the monotonic clock."""
        self.losses = 0
        """How often a connection was lost."""

    def __len__(self) -> int:
        return len(self._wishes)

    def wish(self, channel: str) -> None:
        """Want a channel heard from the next connection on, without waiting."""
        if channel not in self._wishes:
            self._wishes[channel] = _Wish()
            self._order("SSUBSCRIBE", channel)

    async def subscribe(self, channel: str) -> None:
        """Hear a channel; returns when Redis has confirmed. Raises Unavailable; the wish stays all the same."""
        self.wish(channel)
        if self._connection is None:
            raise Unavailable("the bus is not connected", retry_after_ms=RETRY_AFTER_MS)
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                await asyncio.shield(self._wishes[channel].confirmed)
        except TimeoutError as error:
            raise Unavailable("Redis did not confirm a subscription", retry_after_ms=RETRY_AFTER_MS) from error

    def unsubscribe(self, channel: str) -> None:
        """Stop hearing a channel."""
        wish = self._wishes.pop(channel, None)
        if wish is not None:
            if not wish.confirmed.done():
                wish.confirmed.set_exception(Unavailable("nobody listens any more"))
                wish.confirmed.exception()
            self._order("SUNSUBSCRIBE", channel)

    def reset(self) -> None:
        """Give the connection up; `run` makes a new one."""
        if self._connection is not None:
            self._connection.cancel()

    async def run(self) -> None:
        """Connect, hear, and connect again, until cancelled."""
        async with TaskOwner("subscriber") as owner:
            try:
                while True:
                    self._connection = owner.start(self._serve(), "connection")
                    await asyncio.wait([self._connection])
                    self._lost(self._connection)
                    await self._clock.sleep(self._options.reconnect_seconds)
            finally:
                self._connection = None
                await owner.close()
                await self._client.aclose()

    def _lost(self, task: "asyncio.Task[None]") -> None:
        self._connection = None
        if self.restored:
            self.restored = False
            self.losses += 1
            _log.warning("bus_lost", reason="reset" if task.cancelled() else "connection")
        for channel, wish in self._wishes.items():
            if wish.confirmed.done():
                self._wishes[channel] = _Wish()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _serve(self) -> None:
        """One connection's life; ends when it fails in an expected way."""
        connection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(2 * self._options.timeout_seconds):
                await heeding_cancellation(connection.connect())
            self._begin()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._speak(connection), name="subscriber:speak")
                group.create_task(self._hear(connection), name="subscriber:hear")
        except* REDIS_FAILURES:
            pass
        finally:
            self._speaking = False
            await connection.disconnect(nowait=True)

    def _begin(self) -> None:
        self._speaking = True
        self._unconfirmed.clear()
        self._orders.clear()
        for channel in self._wishes:
            self._order("SSUBSCRIBE", channel)

    def _order(self, verb: str, channel: str) -> None:
        """Tell Redis; without a connection there is nothing to tell, the next one begins with every wish."""
        if not self._speaking:
            return
        if verb == "SSUBSCRIBE":
            self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        self._orders.append((verb, channel))
        self._ordered.set()

    async def _speak(self, connection: Any) -> None:
        """Send what was ordered, in order. One command a channel, as Redis Cluster wants it."""
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            orders, self._orders = self._orders, []
            if orders:
                sending = connection.send_packed_command(connection.pack_commands(orders), check_health=False)
                await heeding_cancellation(sending)

    async def _hear(self, connection: Any) -> None:
        heard = 0
        while True:
            message = await connection.read_response(timeout=math.inf, disconnect_on_error=False, push_request=True)
            kind = message[0]
            if kind == b"smessage":
                self._on_message(message[1], message[2])
            elif kind == b"ssubscribe":
                self._confirm(message[1].decode())
            heard += 1
            if heard % _MESSAGES_IN_A_ROW == 0:
                await asyncio.sleep(0)

    def _confirm(self, channel: str) -> None:
        """The last of the subscriptions ordered for a channel counts: an earlier one may be cancelled on its way."""
        left = self._unconfirmed.pop(channel, 1) - 1
        if left:
            self._unconfirmed[channel] = left
        elif (wish := self._wishes.get(channel)) is not None and not wish.confirmed.done():
            wish.confirmed.set_result(None)
        if not self._unconfirmed and not self.restored:
            self.restored = True
            self.restored_at = self._clock.monotonic()
            _log.info("bus_restored", channels=len(self._wishes))
            self._on_restored()
