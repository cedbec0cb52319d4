"""A packet that wants answers, sent to any number of sockets of any nodes: who answered what, and who did not.

One packet with one ack id for all of them. A question ends when nobody is waited for any more, or when its time is up;
then it is forgotten everywhere, so that clients which never answer cost nothing for long.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from realtime.wire.interface import Socket
from realtime.wire.packets import Arguments, Packet

OnAnswer = Callable[[str, list[object]], None]
"""Is told the socket's id and its answer's arguments."""


@dataclass(frozen=True)
class Answers:
    """What came of a question. Each socket that it was sent to is in exactly one of the first three."""

    given: dict[str, list[object]] = field(default_factory=dict)
    """The arguments of each answer, by socket id, in the order in which they came."""
    left: frozenset[str] = frozenset()
    """Closed before they answered, or answered what cannot be read."""
    late: frozenset[str] = frozenset()
    """Did not answer in time."""
    silent_nodes: int = 0
    """Nodes that heard the question and never said whom they passed it on to: their sockets are not counted."""


class Question:
    """Collects the answers to one packet; `over` is done when no more is to be expected."""

    def __init__(
        self, ack_id: int, within_seconds: float, *, on_answer: OnAnswer | None = None, on_left: OnAnswer | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ack_id = ack_id
        self.within_seconds = within_seconds
        self.over: asyncio.Future[None] = loop.create_future()
        self._given: dict[str, list[object]] = {}
        self._left: set[str] = set()
        self._waiting: dict[str, Socket | None] = {}
        """Sockets that have not answered; None stands for one of another node."""
        self._holds = 0
        self._nodes = 0
        self._on_answer = on_answer
        self._on_left = on_left
        self._timer = loop.call_later(within_seconds, self.end)

    def answers(self) -> Answers:
        """What has come so far."""
        late = frozenset(self._waiting)
        return Answers(self._given.copy(), frozenset(self._left), late, max(0, self._nodes))

    @property
    def waiting(self) -> Sequence[str]:
        """Who has not answered yet."""
        return tuple(self._waiting)

    def put(self, packet: Packet, sockets: Iterable[Socket]) -> None:
        """Send the packet, which has this question's ack id, to these sockets of this node."""
        self.hold()
        for socket in sockets:
            if not socket.closed and not self.over.done():
                self._waiting[socket.sid] = socket
                socket.expect(self.ack_id, self._hear)
                socket.send(packet)
        self.release()

    async def wait(self) -> None:
        """Return when it is over."""
        await asyncio.shield(self.over)  # who waits may be cancelled; the question is not

    def end(self) -> None:
        """Wait no longer."""
        if self.over.done():
            return
        self._timer.cancel()
        self.over.set_result(None)
        for socket in self._waiting.values():
            if socket is not None:
                socket.forget(self.ack_id)

    # What other nodes say of their sockets

    def hold(self) -> None:
        """Do not end yet for want of somebody to wait for."""
        self._holds += 1

    def release(self, nodes: int = 0) -> None:
        """The end of a `hold`; so many nodes will each say whom they asked, or have said it already."""
        self._holds -= 1
        self._nodes += nodes
        self._end_if_complete()

    def passed_on(self, sids: Iterable[str]) -> None:
        """A node says whom it asked."""
        self._nodes -= 1
        for sid in sids:
            if sid not in self._given and sid not in self._left:
                self._waiting.setdefault(sid)
        self._end_if_complete()

    def answered(self, sid: str, values: list[object]) -> None:
        """A socket has answered."""
        if self.over.done():
            return
        self._waiting.pop(sid, None)
        self._given[sid] = values
        if self._on_answer is not None:
            self._on_answer(sid, values)
        self._end_if_complete()

    def gone(self, sid: str) -> None:
        """A socket will not answer."""
        if self.over.done():
            return
        self._waiting.pop(sid, None)
        self._left.add(sid)
        if self._on_left is not None:
            self._on_left(sid, [])
        self._end_if_complete()

    def _hear(self, socket: Socket, arguments: Arguments | None) -> None:
        try:
            values = arguments.values() if arguments is not None else None
        except (ValueError, RecursionError):
            values = None
        if values is None:
            self.gone(socket.sid)
        else:
            self.answered(socket.sid, values)

    def _end_if_complete(self) -> None:
        if not self._waiting and not self._holds and self._nodes <= 0:
            self.end()
