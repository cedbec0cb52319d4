"""What a node says to others about rooms, in order, and ack ids that no two nodes use.

Promises: each call ends within twice the timeout, with what happened or with Unavailable.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

from domain.kit.errors import Unavailable
from domain.kit.redis_connections import packed
from domain.kit.tasks import TaskOwner
from realtime.bus.connections import RETRY_AFTER_MS, BusOptions, Command, RedisLink, unavailable
from realtime.bus.metrics import BusMetrics

MOST_UNSAID_BYTES = 16 << 20
"""What may wait to be said to Redis; beyond it, emits are refused at once."""
_LAST_WORDS_SECONDS = 0.2
"""For what was begun to be said when the node stops."""
_ACK_IDS_KEY = "rooms:ack-ids"
_FIRST_ACK_ID, _ACK_ID_BLOCK = 1 << 30, 1 << 10


class Speech:
    """Says messages on channels, in the order of the calls; none waits for what became of those before it."""

    def __init__(self, options: BusOptions, metrics: BusMetrics) -> None:
        self._link = RedisLink(options, name="rooms-speech")
        self._metrics = metrics
        self._unconfirmed_bytes = 0
        self._running = False
        self._saying = TaskOwner("rooms-saying")
        self._beginning = 0
        """Messages that are begun and not on their way yet."""

    async def say(self, where: Sequence[str], message: bytes) -> int:
        """How many nodes heard it, counted for each channel. Raises Unavailable when it is not known to be said."""
        if not where:
            return 0
        self._check()
        if self._beginning:
            await self._let_go_first()
        return await self._say(where, message)

    async def _let_go_first(self) -> None:
        """Let what was begun before go before; who comes meanwhile waits as well, and goes behind."""
        self._beginning += 1
        try:
            await asyncio.sleep(0)
        finally:
            self._beginning -= 1

    async def _say(self, where: Sequence[str], message: bytes) -> int:
        self._unconfirmed_bytes += len(message)
        try:
            return sum(await self._link.batch(_publishing(where, message)))
        except Unavailable:
            self._metrics.failures.labels("room_publish").inc()
            raise
        finally:
            self._unconfirmed_bytes -= len(message)

    def begin(self, where: Sequence[str], message: bytes) -> None:
        """The same for whoever does not ask what becomes of it, which is counted. Raises Unavailable."""
        if where and not self.post(packed(_publishing(where, message)), len(where)):
            self.begin_later(where, message)

    def post(self, commands: bytes, count: int = 1) -> bool:
        """What `begin` tries first: whether these commands could be sent at once, behind all others.

        If not, `begin_later` sees to it. Raises Unavailable.
        """
        if not self._running or self._unconfirmed_bytes > MOST_UNSAID_BYTES:
            raise _cannot_be_told()
        size = len(commands)
        if self._beginning or not self._link.post(commands, count, self._ended, size):
            return False
        self._unconfirmed_bytes += size
        return True

    def begin_later(self, where: Sequence[str], message: bytes) -> None:
        """Say it in its turn, when there is a connection."""
        self._beginning += 1
        self._unconfirmed_bytes += len(message)
        self._saying.start(self._say_unheeded(where, message), "say")

    def _ended(self, size: int, error: Exception | None) -> None:
        self._unconfirmed_bytes -= size
        if error is not None:
            self._metrics.failures.labels("room_publish").inc()

    async def run(self) -> None:
        """Be ready to speak, until cancelled."""
        self._running = True
        try:
            with contextlib.suppress(Unavailable):
                await self._link.call("PING")  # the first emit finds a connection that stands
            await asyncio.get_running_loop().create_future()
        finally:
            await self._last_words()
            self._running = False
            await self._saying.close()
            await self._link.aclose()

    async def _last_words(self) -> None:
        """Have what was begun said, and know of it, within a moment."""
        await self._saying.drain(_LAST_WORDS_SECONDS)
        if self._unconfirmed_bytes:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await self._link.call("PING")  # it is answered behind all that was posted

    async def _say_unheeded(self, where: Sequence[str], message: bytes) -> None:
        self._beginning -= 1
        self._unconfirmed_bytes -= len(message)  # counted again, until Redis has confirmed
        with contextlib.suppress(Unavailable):
            await self._say(where, message)

    def _check(self) -> None:
        if not self._running or self._unconfirmed_bytes > MOST_UNSAID_BYTES:
            raise _cannot_be_told()


def _cannot_be_told() -> Unavailable:
    return Unavailable("the other nodes cannot be told", retry_after_ms=RETRY_AFTER_MS)


def _publishing(where: Sequence[str], message: bytes) -> Sequence[Command]:
    if len(where) == 1:
        return (("SPUBLISH", where[0], message),)
    return [("SPUBLISH", channel, message) for channel in where]


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
