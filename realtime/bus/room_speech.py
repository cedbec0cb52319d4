"""What a node says to others about rooms: messages in order, many in one round trip, and ack ids that no two nodes use.

Promises: each call ends within twice the timeout, with what happened or with Unavailable.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

from domain.kit.errors import Unavailable
from realtime.bus.connections import RETRY_AFTER_MS, BusOptions, Command, RedisLink, unavailable
from realtime.bus.metrics import BusMetrics

MOST_UNSAID_BYTES = 16 << 20
"""What may wait to be said to Redis; beyond it, emits are refused at once."""
_AT_ONCE = 256
"""Messages in one pipeline."""
_ACK_IDS_KEY = "rooms:ack-ids"
_FIRST_ACK_ID, _ACK_ID_BLOCK = 1 << 30, 1 << 10


class Speech:
    """Says messages on channels, in order: what was asked for during one round trip goes in the next one."""

    def __init__(self, options: BusOptions, metrics: BusMetrics) -> None:
        self._link = RedisLink(options, name="rooms-speech")
        self._metrics = metrics
        self._unsaid: deque[tuple[Sequence[str], bytes, asyncio.Future[int]]] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self._running = False

    async def say(self, where: Sequence[str], message: bytes) -> int:
        """How many nodes heard it, counted for each channel. Raises Unavailable when it is not known to be said."""
        if not where:
            return 0
        return await self.begin(where, message)

    def begin(self, where: Sequence[str], message: bytes) -> asyncio.Future[int]:
        """The same as a future; what is not awaited is said all the same. Raises Unavailable."""
        if not self._running or self._bytes > MOST_UNSAID_BYTES:
            raise Unavailable("the other nodes cannot be told", retry_after_ms=RETRY_AFTER_MS)
        said: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._unsaid.append((where, message, said))
        self._bytes += len(message)
        self._more.set()
        return said

    async def run(self) -> None:
        """Say what is to be said, until cancelled."""
        self._running = True
        try:
            while True:
                await self._more.wait()
                await self._say_some()
                if not self._unsaid:
                    self._more.clear()
        finally:
            self._running = False
            self._refuse_all("this node is stopping")
            await self._link.aclose()

    async def _say_some(self) -> None:
        batch = [self._unsaid.popleft() for _ in range(min(_AT_ONCE, len(self._unsaid)))]
        self._bytes -= sum(len(message) for _, message, _ in batch)
        commands: list[Command] = [("SPUBLISH", channel, message) for where, message, _ in batch for channel in where]
        try:
            counts = iter(await self._link.batch(commands))
        except Unavailable as error:
            self._metrics.failures.labels("room_publish").inc()
            self._refuse([said for _, _, said in batch], error.message)
            self._refuse_all(error.message)
        except asyncio.CancelledError:
            self._refuse([said for _, _, said in batch], "this node is stopping")
            raise
        else:
            for where, _, said in batch:
                heard = sum(itertools.islice(counts, len(where)))
                if not said.done():
                    said.set_result(heard)

    def _refuse_all(self, why: str) -> None:
        """What came while Redis was not answering has waited long enough."""
        self._refuse([said for _, _, said in self._unsaid], why)
        self._unsaid.clear()
        self._bytes = 0

    @staticmethod
    def _refuse(saids: Sequence["asyncio.Future[int]"], why: str) -> None:
        for said in saids:
            if not said.done():
                said.set_exception(Unavailable(why, retry_after_ms=RETRY_AFTER_MS))
                said.exception()  # a report has nobody who awaits it


class AckIds:
    """Ack ids that no two nodes use at once: blocks of a counter in Redis, above those that nodes count themselves."""

    def __init__(self, options: BusOptions) -> None:
        self._link = RedisLink(options, name="rooms-ids")
        self._deadline_seconds = 2 * options.timeout_seconds
        self._left: deque[int] = deque()
        self._fetching = asyncio.Lock()

    async def take(self) -> int:
        """The next one. Raises Unavailable."""
        if not self._left:
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    await self._fetch()
            except TimeoutError as error:
                raise unavailable(error) from error
        return self._left.popleft()

    async def _fetch(self) -> None:
        """Have some. Whoever waits for another one's fetch takes of that."""
        async with self._fetching:
            if not self._left:
                last = int(await self._link.call("INCRBY", _ACK_IDS_KEY, _ACK_ID_BLOCK))
                numbers = range(last - _ACK_ID_BLOCK, last)
                self._left.extend(_FIRST_ACK_ID + number % _FIRST_ACK_ID for number in numbers)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._link.aclose()
