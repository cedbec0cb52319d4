"""Hints between nodes: what was added to a stream, said on the stream's own channel, heard where somebody listens.

Promises nothing: pub/sub loses what is said while nobody hears. Whoever is told keeps cursors, and looks in Postgres
for what a hint did not bring. What this node says it hears at once, with or without Redis. The events travel as every
client gets them, so that a node that hears one only frames it.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import run_together
from domain.streams.rules import Appended
from realtime.bus.connections import BusOptions, Command, RedisLink
from realtime.bus.metrics import BusMetrics
from realtime.bus.subscriber import Subscriber

MOST_UNSAID_BYTES = 8 << 20
"""Hints that wait for Redis; beyond it new ones are dropped, and other nodes find the events by themselves."""
_AT_ONCE = 256
_GATHER_SECONDS = 0.02
_SENDER_BYTES = 16
_FORMAT = b"\x01"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Appended).decode
_log = structlog.get_logger(__name__)


def hinted_on(stream: str) -> str:
    """The channel of a stream's hints."""
    return f"stream:{{{stream}}}"


class RedisStreamHints:
    """Implements the domain's `StreamHints`, and hears those of other nodes."""

    def __init__(self, clock: Clock, options: BusOptions, metrics: BusMetrics) -> None:
        self._metrics = metrics
        self._sender = secrets.token_bytes(_SENDER_BYTES)
        self._header = _FORMAT + self._sender
        self._link = RedisLink(options, name="stream-hints")
        self._wanted: dict[str, None] = {}
        """Streams that are to be heard of, and for which that has not been asked yet."""
        self._unsaid: deque[Appended] = deque()
        self._unsaid_bytes = 0
        self._more = asyncio.Event()
        self._on_said: Callable[[Appended], None] = lambda appended: None
        self._on_restored: Callable[[], None] = lambda: None
        self._ear = Subscriber(
            clock,
            options,
            on_message=self._message,
            on_restored=self._restored,
            on_proof=self._proved,
            name="stream-hints-ear",
        )

    def attach(self, on_said: Callable[[Appended], None], on_restored: Callable[[], None]) -> None:
        """Give what was added, here and elsewhere, to `on_said`; call `on_restored` when hearing begins again."""
        self._on_said = on_said
        self._on_restored = on_restored

    @property
    def connected(self) -> bool:
        """Whether this node hears what it wishes to, and has heard itself recently."""
        return self._ear.connected

    @property
    def subscriptions(self) -> int:
        """Streams of which this node wishes to hear."""
        return len(self._ear) + len(self._wanted)

    @property
    def losses(self) -> int:
        """How often the connection that hears was lost."""
        return self._ear.losses

    def heard_seconds_ago(self) -> float:
        """The age of the last heartbeat that went through Redis and back; infinite before the first."""
        return self._ear.heard_seconds_ago()

    def listen(self, stream: str) -> None:
        """Hear of this stream from some moment soon on; what was said before that moment is not heard.

        While many connect, their subscriptions go together: each alone would cost a write, and a read of the answer.
        """
        if not self._wanted:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._wish_all)
        self._wanted[stream] = None

    def _wish_all(self) -> None:
        wanted, self._wanted = self._wanted, {}
        for stream in wanted:
            self._ear.wish(hinted_on(stream))

    def unlisten(self, stream: str) -> None:
        """Hear of it no more."""
        if stream in self._wanted:
            del self._wanted[stream]
        else:
            self._ear.unsubscribe(hinted_on(stream))

    async def said(self, appended: Sequence[Appended]) -> None:
        """See `StreamHints`: here at once, elsewhere when Redis takes it."""
        for each in appended:
            self._on_said(each)
            size = sum(len(event.payload) for event in each.events)
            if self._unsaid_bytes + size > MOST_UNSAID_BYTES:
                self._metrics.failures.labels("stream_hint").inc()
                continue
            self._unsaid.append(each)
            self._unsaid_bytes += size
        self._more.set()

    async def run(self) -> None:
        """Hear and say, until cancelled."""
        try:
            await run_together("stream-hints", {"hear": self._ear.run(), "say": self._say()})
        finally:
            await self._link.aclose()

    async def _say(self) -> None:
        while True:
            await self._more.wait()
            await self._say_some()
            if not self._unsaid:
                self._more.clear()

    async def _say_some(self) -> None:
        """Say a batch; what Redis does not take is dropped: the others find it by themselves within a second."""
        batch = [self._unsaid.popleft() for _ in range(min(_AT_ONCE, len(self._unsaid)))]
        self._unsaid_bytes -= sum(len(event.payload) for each in batch for event in each.events)
        commands: list[Command] = [("SPUBLISH", hinted_on(each.stream), self._header + _encode(each)) for each in batch]
        try:
            await self._link.batch(commands)
        except Unavailable:
            self._metrics.failures.labels("stream_hint").inc(len(commands))

    # What is heard

    def _proved(self, round_trip_seconds: float | None) -> None:
        if round_trip_seconds is None:
            self._metrics.failures.labels("heartbeat").inc()

    def _message(self, _channel: bytes, message: bytes) -> None:
        if not message.startswith(_FORMAT):
            self._metrics.failures.labels("unknown_format").inc()
            return
        if message[1 : 1 + _SENDER_BYTES] == self._sender:
            return  # what this node says it has heard already
        try:
            appended = _decode(message[1 + _SENDER_BYTES :])
        except (msgspec.MsgspecError, ValueError):
            self._metrics.failures.labels("unknown_format").inc()
            return
        try:
            self._on_said(appended)
        except Exception:  # noqa: BLE001 - one bad hint must not deafen every node that hears it; cursors compare
            self._metrics.failures.labels("stream_hint_heard").inc()
            _log.exception("stream_hint_failed")

    def _restored(self) -> None:
        self._on_restored()
