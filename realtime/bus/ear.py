"""One connection that hears: the channels ordered on it, and itself now and then, until it fails or turns out deaf.

It tells its owner what was confirmed, what was refused, and what the server took off it because its slot has moved.
"""

import asyncio
import math
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from domain.kit.clock import Clock
from domain.kit.redis_connections import packed
from domain.kit.redis_pipe import Pipe
from domain.kit.redis_slots import slot_of
from domain.kit.redis_urls import Address
from domain.kit.tasks import TaskOwner
from realtime.bus.connections import REDIS_FAILURES, BusOptions, heeding_cancellation

_IN_A_ROW = 64
"""After so many messages the loop gets a turn, however many more have arrived."""
_BEAT = struct.Struct(">d")

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Whose ear it is."""

    def opened(self, ear: "Ear") -> None:
        """Orders can be given."""
        ...

    def heard(self, channel: bytes, message: bytes) -> None:
        """Somebody said this."""
        ...

    def confirmed(self, ear: "Ear", channel: str) -> None:
        """From now on the channel is heard."""
        ...

    def taken_away(self, ear: "Ear", channel: str) -> None:
        """The channel is not heard here, or not any more: another server has it."""
        ...

    def proved(self, ear: "Ear", round_trip_seconds: float) -> None:
        """It has heard itself."""
        ...


class Ear:
    """Runs once. `proof` is a channel of its server on which nobody else speaks."""

    def __init__(
        self,
        make: Callable[[], AbstractConnection],
        place: Address | None,
        proof: str,
        listener: Listener,
        clock: Clock,
        options: BusOptions,
        say: Callable[[str, bytes], Awaitable[object]],
    ) -> None:
        """`say` publishes, never raises, and ends within the timeout."""
        self.place = place
        """The master of a cluster to which it listens."""
        self.proof = proof
        self._proof = proof.encode()
        self.heard_at = -math.inf
        """When it last heard itself, by the monotonic clock."""
        self.open_since = math.inf
        self.refusal: Exception | None = None
        """Why it could not connect."""
        self._make = make
        self._listener = listener
        self._heard = listener.heard
        self._clock = clock
        self._options = options
        self._say = say
        self._pipe: Pipe | None = None
        self._provable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the first proof can be heard."""
        self._unsent: list[tuple[str, str]] = []
        self._ordered: deque[tuple[str, str]] = deque()
        """What has been sent and not been answered; answers come in this order."""
        self._pending: Counter[str] = Counter()
        self._backlog: deque[Any] = deque()
        self._read = 0
        self._in_a_row = 0
        """Answers of one read of the pipe that were taken at once."""

    @property
    def is_open(self) -> bool:
        """Whether orders can be given."""
        return self._pipe is not None

    def silence(self) -> float:
        """Seconds since it heard itself, or began to listen."""
        return self._clock.monotonic() - max(self.heard_at, min(self.open_since, self._clock.monotonic()))

    async def run(self) -> None:
        """Connect, and hear until the connection is lost or deaf. Raises only what nobody foresaw."""
        connection = self._make()
        try:
            async with asyncio.timeout(2 * self._options.timeout_seconds):
                await heeding_cancellation(connection.connect())  # type: ignore[no-untyped-call]
            self._pipe = pipe = Pipe(connection, self._answered)
        except REDIS_FAILURES as error:
            self.refusal = error
            await connection.disconnect(nowait=True)
            return
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        try:
            self.open_since = self._clock.monotonic()
            self.order("SSUBSCRIBE", self.proof)
            self._listener.opened(self)
            await self._hear(pipe)
        finally:
            self._pipe = None
            await pipe.aclose()

    def close(self) -> None:
        """Give the connection up: `run` ends."""
        if self._pipe is not None:
            self._pipe.close()

    async def _hear(self, pipe: Pipe) -> None:
        first: list[asyncio.Future[None]] = [self._provable, pipe.ended]
        await asyncio.wait(first, timeout=self._options.deaf_seconds, return_when=asyncio.FIRST_COMPLETED)
        async with TaskOwner("ear") as owner:
            beating: asyncio.Future[None] = owner.start(self._beat(), "beat")
            await asyncio.wait([beating, pipe.ended], return_when=asyncio.FIRST_COMPLETED)
        if pipe.ended.done() and (error := pipe.ended.exception()) and not isinstance(error, REDIS_FAILURES):
            raise error

    async def _beat(self) -> None:
        """Speak to itself; ends when that is not heard."""
        while self.silence() <= self._options.deaf_seconds:
            await self._say(self.proof, _BEAT.pack(self._clock.monotonic()))
            await self._clock.sleep(self._options.heartbeat_seconds)
        _log.warning("bus_deaf", silent_seconds=round(self.silence(), 3))

    def prove_on(self, channel: str) -> None:
        """Speak to itself on another channel, because the one until now has moved."""
        self.proof, self._proof = channel, channel.encode()
        self.order("SSUBSCRIBE", channel)

    def order(self, verb: str, channel: str) -> None:
        """Have a channel heard (SSUBSCRIBE) or not any more (SUNSUBSCRIBE): one command each, as clusters want it."""
        if self._pipe is None:
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent.append((verb, channel))

    def _send(self) -> None:
        orders, self._unsent = self._unsent, []
        if self._pipe is None or self._pipe.ended.done():
            return
        self._ordered += orders
        self._pending.update(channel for _, channel in orders)
        self._pipe.write(packed(orders))

    # What the server says

    def _answered(self, answer: Any) -> None:
        """Take what came; when much came at once in turns, with the reading paused meanwhile."""
        if self._backlog:
            self._backlog.append(answer)
            return
        pipe = self._pipe
        if pipe is not None and self._read != pipe.reads:
            self._read, self._in_a_row = pipe.reads, 0
        self._in_a_row += 1
        if self._in_a_row <= _IN_A_ROW:
            if type(answer) is list and answer[0] == b"smessage" and answer[1] != self._proof:
                self._heard(answer[1], answer[2])  # nearly always
            else:
                self._take(answer)
        elif pipe is not None:
            pipe.pause()
            self._backlog.append(answer)
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        pipe = self._pipe
        if not self._backlog or pipe is None:
            return
        try:
            for _ in range(min(_IN_A_ROW, len(self._backlog))):
                self._take(self._backlog.popleft())
        except Exception as error:  # noqa: BLE001 - as if it had been raised while reading
            pipe.fail(error)
        if self._backlog:
            asyncio.get_running_loop().call_soon(self._next_turn)
        else:
            pipe.resume()

    def _take(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._refused(answer)
            return
        kind, channel = answer[0], answer[1]
        if kind == b"smessage":
            if channel == self._proof:
                self._proved(answer[2])
            else:
                self._heard(channel, answer[2])
        elif kind == b"ssubscribe":
            self._settled("SSUBSCRIBE", channel.decode())
        elif kind == b"sunsubscribe":
            self._settled("SUNSUBSCRIBE", channel.decode())

    def _proved(self, beat: bytes) -> None:
        self.heard_at = self._clock.monotonic()
        (sent_at,) = _BEAT.unpack(beat)
        self._listener.proved(self, self.heard_at - sent_at)

    def _settled(self, verb: str, channel: str) -> None:
        """An order was carried out, and the last one for a channel counts; or the server has moved the channel away."""
        if self._ordered and self._ordered[0] == (verb, channel):
            self._ordered.popleft()
            if self._last_one(channel) and verb == "SSUBSCRIBE":
                self._confirmed(channel)
        elif verb == "SUNSUBSCRIBE" and not self._pending[channel]:
            self._listener.taken_away(self, channel)

    def _confirmed(self, channel: str) -> None:
        if channel == self.proof and not self._provable.done():
            self._provable.set_result(None)
        self._listener.confirmed(self, channel)

    def _last_one(self, channel: str) -> bool:
        self._pending[channel] -= 1
        if self._pending[channel] > 0:
            return False
        del self._pending[channel]
        return True

    def _refused(self, error: Exception) -> None:
        """Another server has the slot; anything else ends the connection, because the next one may do better."""
        order = None
        if isinstance(error, MovedError):
            order = next((each for each in self._ordered if slot_of(each[1]) == error.slot_id), None)
        if order is None:
            _log.debug("bus_refused", error=type(error).__name__)
            self.close()
            return
        self._ordered.remove(order)
        if self._last_one(order[1]) and order[0] == "SSUBSCRIBE":
            self._listener.taken_away(self, order[1])
