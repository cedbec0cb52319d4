"""Rooms that reach over all nodes, over sharded pub/sub: implements the wire's `OtherNodes`.

Promises: each call ends within twice the timeout, with what it says or with Unavailable; what one node says in order
is heard in order; a node hears only of rooms that it has a member of. It is pub/sub: what is said while a node
reconnects is lost to it (`losses` counts), and a node that is gone costs the answers of its own sockets.

The packet travels as JSON and nothing else: half the bytes of both formats, and a node whose sockets want msgpack makes
it once, by the same code that the sender's node would have used.
"""

import itertools
import secrets
from collections.abc import Awaitable

import msgspec
import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Problem
from domain.kit.tasks import run_together
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.room_messages import (
    Answered,
    Asked,
    Done,
    Emitted,
    Message,
    PassedOn,
    Said,
    Saying,
    channels,
    decode,
    decode_values,
    encode,
    node_channel,
    room_channel,
    sender_channel,
)
from realtime.bus.room_moves import Moves
from realtime.bus.room_reports import Report
from realtime.bus.room_speech import AckIds, Speech
from realtime.bus.subscriber import Subscriber
from realtime.wire.emitting import Audience, Fault, Move, ThisNode
from realtime.wire.header import ROOT
from realtime.wire.packets import Packet
from realtime.wire.questions import Question
from realtime.wire.rooms import node_of

_REMEMBERED = 4096
"""Messages said on several channels of which later copies are still recognised, and rooms with a `Saying` of theirs."""

_log = structlog.get_logger(__name__)


class RedisRooms:
    """This node's way to the rooms of others.

    `node` is the name that the ids of its sockets begin with; without one, no other node can reach a single socket.
    """

    def __init__(self, node: str, clock: Clock, options: BusOptions, metrics: BusMetrics) -> None:
        self._node = node
        self._sender = f"{node}#{secrets.token_hex(8)}"
        self._metrics = metrics
        self._here: ThisNode | None = None
        self._speech = Speech(options, metrics)
        self._moves = Moves(self._speech, self._sender, timeout_seconds=2 * options.timeout_seconds)
        self._ids = AckIds(options)
        self._numbers = itertools.count()
        self._seen = _Recent(_REMEMBERED)
        self._sayings: dict[str, Saying] = {}
        self._questions: dict[int, Question] = {}
        self._reports: set[Report] = set()
        self._ear = Subscriber(
            clock,
            options,
            on_message=self._message,
            on_restored=lambda: None,
            on_proof=self._proved,
            name=f"rooms-ear:{node}",
        )
        self._own = (sender_channel(self._sender), *([node_channel(node)] if node else []))

    @property
    def connected(self) -> bool:
        """Whether this node is subscribed to what it wishes, and has heard itself recently."""
        return self._ear.connected

    def heard_seconds_ago(self) -> float:
        """The age of the last heartbeat that came through Redis and back; infinite before the first."""
        return self._ear.heard_seconds_ago()

    @property
    def subscriptions(self) -> int:
        """Channels that this node wishes to hear, its own not counted."""
        return max(0, len(self._ear) - len(self._own))

    @property
    def losses(self) -> int:
        """How often a connection that hears was lost, or a channel moved away from one: something may be missing."""
        return self._ear.losses

    @property
    def questions(self) -> int:
        """Questions of this node that wait for answers of others."""
        return len(self._questions)

    async def run(self) -> None:
        """Hear, speak, and reconnect, until cancelled."""
        for channel in self._own:
            self._ear.wish(channel)
        try:
            await run_together("rooms", {"hear": self._ear.run(), "speak": self._speech.run()})
        finally:
            for report in list(self._reports):
                report.cancel()
            await self._moves.aclose()
            await self._ids.aclose()

    # The port

    def attach(self, here: ThisNode) -> None:
        """See `OtherNodes`."""
        self._here = here

    def occupied(self, namespace: str, room: str | None) -> None:
        """See `OtherNodes`."""
        self._ear.wish(room_channel(namespace, room))

    def vacated(self, namespace: str, room: str | None) -> None:
        """See `OtherNodes`."""
        self._ear.unsubscribe(room_channel(namespace, room))

    async def hearing(self, namespace: str, room: str) -> None:
        """See `OtherNodes`."""
        await self._ear.subscribe(room_channel(namespace, room))

    def is_elsewhere(self, sid: str) -> bool:
        """See `OtherNodes`."""
        return node_of(sid) not in (None, self._node)

    async def move(self, move: Move) -> Fault | None:
        """See `OtherNodes`."""
        return await self._moves.ask(move)

    async def next_ack_id(self) -> int:
        """See `OtherNodes`."""
        return await self._ids.take()

    def send(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> Awaitable[object]:
        """See `OtherNodes`."""
        return self._speech.say(channels(audience, self._node), encode(self._emitted(audience, packet, volatile)))

    def send_nowait(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> None:
        """See `OtherNodes`."""
        self._speech.begin(channels(audience, self._node), encode(self._emitted(audience, packet, volatile)))

    def say_nowait(self, room: str, packet: Packet) -> None:
        """See `OtherNodes`."""
        if not packet.plain:
            self.send_nowait(Audience(ROOT, (room,)), packet)
            return
        saying = self._sayings.get(room) or self._new_saying(room)
        if saying is not None and not self._speech.post(saying.command(packet.json)):
            self._speech.begin_later((saying.channel,), saying.message(packet.json))

    def _new_saying(self, room: str) -> Saying | None:
        """None for a socket of this node, which no other one has."""
        where = channels(Audience(ROOT, (room,)), self._node)
        if not where:
            return None
        if len(self._sayings) >= _REMEMBERED:
            self._sayings.clear()
        saying = self._sayings[room] = Saying(self._sender, room, where[0])
        return saying

    async def ask(self, audience: Audience, packet: Packet, question: Question) -> None:
        """See `OtherNodes`."""
        self._questions[question.ack_id] = question
        question.over.add_done_callback(lambda _: self._questions.pop(question.ack_id, None))
        question.hold()
        nodes = 0
        try:
            emitted = self._emitted(audience, packet, volatile=False, within_seconds=question.within_seconds)
            nodes = await self._speech.say(channels(audience, self._node), encode(emitted))
        finally:
            question.release(nodes)

    def _emitted(
        self, audience: Audience, packet: Packet, volatile: bool, within_seconds: float | None = None
    ) -> Emitted:
        return Emitted(
            self._sender,
            next(self._numbers),
            audience.namespace,
            None if audience.to is None else tuple(audience.to),
            tuple(audience.but),
            volatile,
            packet.carried(),
            None if within_seconds is None else round(within_seconds * 1000),
        )

    # What is heard

    def _proved(self, round_trip_seconds: float | None) -> None:
        if round_trip_seconds is None:
            self._metrics.failures.labels("heartbeat").inc()

    def _message(self, name: bytes, data: bytes) -> None:
        try:
            message: Message = decode(data)
            if isinstance(message, Said):
                if message.sender != self._sender and self._here is not None:
                    self._here.say_here(message.room, Packet(message.frame))
            elif isinstance(message, Emitted):
                self._heard(message)
            else:
                self._act_on(message)
        except (msgspec.MsgspecError, ValueError):
            self._metrics.failures.labels("unknown_format").inc()
        except Exception:  # noqa: BLE001 - one bad message must not deafen the node
            self._metrics.failures.labels("room_message").inc()
            _log.exception("room_message_failed")

    def _act_on(self, message: Asked | Done | PassedOn | Answered) -> None:
        if isinstance(message, Asked):
            if self._here is not None:
                self._moves.make(message, self._here)
        elif isinstance(message, Done):
            self._moves.done(message)
        elif (question := self._questions.get(message.ack_id)) is None:
            return  # its time is over
        elif isinstance(message, PassedOn):
            question.passed_on(message.sids)
        else:
            for sid, values in message.given.items():
                question.answered(sid, decode_values(values))
            for sid in message.left:
                question.gone(sid)

    def _heard(self, emitted: Emitted) -> None:
        """A node that asks counts how many heard it, copies and itself included: each is answered for."""
        here = self._here
        if emitted.sender == self._sender:
            if emitted.within_ms is not None and (question := self._questions.get(emitted.packet.ack_id or 0)):
                question.passed_on(())
        elif emitted.within_ms is not None:
            self._pass_on(emitted, again=self._is_copy(emitted))
        elif here is not None and not self._is_copy(emitted):
            here.send_here(emitted.audience, emitted.rebuilt(), volatile=emitted.volatile)

    def _is_copy(self, emitted: Emitted) -> bool:
        """Whether the same was heard already on another channel; what is for one room was said on one."""
        if emitted.to is None or len(emitted.to) == 1:
            return False
        return self._seen.has(emitted.sender, emitted.number)

    def _pass_on(self, emitted: Emitted, *, again: bool) -> None:
        report = Report(self._speech, emitted, self._reports)
        if not again and self._here is not None:
            try:
                self._here.ask_here(emitted.audience, emitted.rebuilt(), report.question)
            except Problem as problem:
                self._metrics.failures.labels("room_question").inc()
                _log.warning("room_question_refused", code=problem.code.value)
        report.begin()


class _Recent:
    """The last so many things of which one may come again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[str, int], None] = {}

    def has(self, sender: str, number: int) -> bool:
        """Whether it was asked for before; it has been now."""
        key = (sender, number)
        if key in self._known:
            return True
        self._known[key] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return False
