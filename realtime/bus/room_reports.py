"""A question of another node, passed on to the sockets of this one, and what that node is told of their answers.

It is told at once whom it was passed on to; then the answers of each hundredth of a second go in one message.
"""

import asyncio

import msgspec

from domain.kit.errors import Unavailable
from realtime.bus.room_messages import Answered, Emitted, Message, PassedOn, encode, sender_channel
from realtime.bus.room_speech import Speech
from realtime.wire.questions import Question

_REPORT_SECONDS = 0.01
"""Answers of so long go in one message."""


class Report:
    """A question of another node that this one passes on, and what it is told of the answers."""

    def __init__(self, speech: Speech, emitted: Emitted, reports: "set[Report]") -> None:
        self._ack_id = emitted.packet.ack_id or 0
        self.question = Question(
            self._ack_id, (emitted.within_ms or 0) / 1000, on_answer=self._answered, on_left=self._gone
        )
        self.question.hold()
        self._speech = speech
        self._channel = sender_channel(emitted.sender)
        self._reports = reports
        self._given: dict[str, msgspec.Raw] = {}
        self._left: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        reports.add(self)

    def begin(self) -> None:
        """Say whom the question was sent to."""
        self._say(PassedOn(self._ack_id, (*self.question.waiting, *self._left)))
        self.question.release()
        self.question.over.add_done_callback(lambda _: self._end())

    def cancel(self) -> None:
        """Say no more."""
        self.question.end()
        self._end(tell=False)

    def _answered(self, sid: str, values: list[object]) -> None:
        try:
            self._given[sid] = msgspec.Raw(encode(values))
        except (OverflowError, TypeError):  # JSON has numbers that msgpack has not
            self._left.append(sid)
        self._tell_soon()

    def _gone(self, sid: str, _: list[object]) -> None:
        self._left.append(sid)
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REPORT_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        given, left = self._given, tuple(self._left)
        self._given, self._left = {}, []
        if given or left:
            self._say(Answered(self._ack_id, given, left))

    def _end(self, *, tell: bool = True) -> None:
        self._reports.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if tell:
            self._tell()

    def _say(self, message: Message) -> None:
        try:
            self._speech.begin((self._channel,), encode(message))
        except Unavailable:
            return  # the asking node knows the sockets of which it heard nothing
