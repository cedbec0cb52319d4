"""What every node must do soon: close the sockets of a revoked session, look up a changed policy.

A Redis stream, because pub/sub loses what is said while a node reconnects. Promises: every event that is
remembered reaches every node that is up, at least once; the node that announces acts at once, with or without Redis,
and tells the others as soon as Redis is back. Postgres has the truth: when `fresh` is false, ask there.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from realtime.bus.attempts import Attempts
from realtime.bus.connections import BusOptions, Command, RedisLink

CONTROL_STREAM = "control"
_FIELD = b"event"
_BLOCK_MS = 500
_AT_ONCE = 1000
_UNTOLD_LIMIT = 10_000
"""Announcements kept for when Redis is back; beyond it the oldest are left to the truth in Postgres."""

_log = structlog.get_logger(__name__)


class SessionRevoked(msgspec.Struct, frozen=True, tag="session_revoked"):
    """The sockets of this session must close; its tokens end by themselves at `expires_at_ms`."""

    session_id: UUID
    expires_at_ms: int


class PolicyChanged(msgspec.Struct, frozen=True, tag="policy_changed"):
    """The rider's sharing or zones have changed; the policy has this version now."""

    user_id: UUID
    version: int


Event = SessionRevoked | PolicyChanged
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class ControlLog:
    """Announces and hears control events; implements the domain's RevocationPort."""

    def __init__(self, clock: Clock, options: BusOptions, *, remember_seconds: float) -> None:
        """`remember_seconds`: longer than an access token lives after its session was revoked."""
        self._clock = clock
        self._remember_ms = round(remember_seconds * 1000)
        self._options = options
        self._reading = RedisLink(options, name="control", deadline_seconds=_BLOCK_MS / 1000 + options.timeout_seconds)
        self._telling = RedisLink(options, name="control-tell")
        self._untold: deque[Event] = deque(maxlen=_UNTOLD_LIMIT)
        self._telling_now = asyncio.Lock()
        self._last: bytes | None = None
        self._heard_at = -math.inf
        self._on_session_revoked: Callable[[UUID, int], None] = lambda session_id, expires_at_ms: None
        self._on_policy_changed: Callable[[UUID, int], None] = lambda user_id, version: None

    def attach(
        self, *, session_revoked: Callable[[UUID, int], None], policy_changed: Callable[[UUID, int], None]
    ) -> None:
        """Call these for each event, also for one's own; they may be called more than once for the same event."""
        self._on_session_revoked = session_revoked
        self._on_policy_changed = policy_changed

    async def session_revoked(self, session_id: UUID, expires_at_ms: int) -> None:
        """Tell every node that the session's sockets must close; `expires_at_ms` is when its tokens end anyway.

        Never raises: what Redis did not take is told when it is back.
        """
        await self._announce(SessionRevoked(session_id, expires_at_ms))

    async def policy_changed(self, user_id: UUID, version: int) -> None:
        """Tell every node that the rider's sharing or zones have changed. Never raises, as `session_revoked`."""
        await self._announce(PolicyChanged(user_id, version))

    @property
    def fresh(self) -> bool:
        """Whether nothing announced until a moment ago can have been missed."""
        return self.heard_seconds_ago() < self._options.deaf_seconds

    def heard_seconds_ago(self) -> float:
        """How long ago Redis last answered that there is nothing newer; infinite before the first time."""
        return self._clock.monotonic() - self._heard_at

    @property
    def untold(self) -> int:
        """Announcements that the other nodes have not been told yet."""
        return len(self._untold)

    async def run(self) -> None:
        """Hear (first all that is remembered) until cancelled."""
        try:
            async with TaskOwner("control") as owner:
                await asyncio.gather(
                    owner.start(self._keep_hearing(), "hear"), owner.start(self._keep_telling(), "tell")
                )
        finally:
            await self._reading.aclose()
            await self._telling.aclose()

    async def _announce(self, event: Event) -> None:
        self._act(event)
        self._untold.append(event)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout_seconds):
                await self._tell()

    async def _tell(self) -> None:
        """Tell the others what they have not been told, in order; what Redis did not take stays."""
        async with self._telling_now:
            while self._untold:
                events, self._untold = list(self._untold), deque(maxlen=_UNTOLD_LIMIT)
                told = 0
                try:
                    await self._telling.batch([self._addition(event) for event in events[:_AT_ONCE]])
                    told = _AT_ONCE
                except Unavailable as error:
                    _log.warning("control_untold", events=len(events), error=error.message)
                    return
                finally:
                    self._untold = deque([*events[told:], *self._untold], maxlen=_UNTOLD_LIMIT)

    def _addition(self, event: Event) -> Command:
        oldest = self._clock.epoch_ms() - self._remember_ms
        return ("XADD", CONTROL_STREAM, "MINID", "~", oldest, "*", _FIELD, _encode(event))

    async def _keep_telling(self) -> None:
        while True:
            await self._clock.sleep(self._options.heartbeat_seconds)
            await self._tell()

    async def _keep_hearing(self) -> None:
        attempts = Attempts(self._options.reconnect_seconds)
        while True:
            try:
                await self._find_place()
                while True:
                    await self._hear()
                    attempts.succeeded()
            except Unavailable as error:
                if self.fresh:
                    _log.warning("control_lost", error=error.message)
            await self._clock.sleep(attempts.pause_seconds())

    async def _find_place(self) -> None:
        """Where to read on: at the oldest remembered at first, and again when the stream is not the one we knew.

        After a failover or a loss of data the stream's newest id may be lower than the last one read.
        """
        newest, (seconds, _) = await self._reading.batch(
            [("XREVRANGE", CONTROL_STREAM, "+", "-", "COUNT", 1), ("TIME",)]  # of the master that stamps the entries
        )
        if self._last is None or not newest or _order(newest[0][0]) < _order(self._last):
            self._last = b"%d-0" % max(0, int(seconds) * 1000 - self._remember_ms)

    async def _hear(self) -> None:
        answer = await self._reading.call(
            "XREAD", "COUNT", _AT_ONCE, "BLOCK", _BLOCK_MS, "STREAMS", CONTROL_STREAM, self._last or b"0-0"
        )
        entries = _entries(answer)
        for entry_id, fields in entries:
            self._last = entry_id
            self._act_on(fields)
        if len(entries) < _AT_ONCE:
            self._heard_at = self._clock.monotonic()

    def _act_on(self, fields: list[bytes]) -> None:
        try:
            event = _decode(fields[1])
        except (msgspec.DecodeError, IndexError):
            _log.warning("control_event_unknown")  # a newer version's event
            return
        self._act(event)

    def _act(self, event: Event) -> None:
        if isinstance(event, SessionRevoked):
            self._on_session_revoked(event.session_id, event.expires_at_ms)
        else:
            self._on_policy_changed(event.user_id, event.version)


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def _entries(answer: Any) -> list[tuple[bytes, list[bytes]]]:
    """The entries of an XREAD of one stream (RESP3: a map of streams), or none."""
    if not answer:
        return []
    (entries,) = answer.values()
    return [(entry_id, fields) for entry_id, fields in entries if fields]
