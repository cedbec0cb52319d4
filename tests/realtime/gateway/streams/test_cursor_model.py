"""Any interleaving of commits, hints (lost, repeated, reordered), late reads, resumes and restores: nothing is missed.

One stream on one node. Every client follows the rules of docs/streams.md, and in the end each has, once and in order,
all that was committed since the position it came with, or a snapshot from which it has.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from domain.accounts.rules import Role
from domain.accounts.tokens import Identity
from domain.kit.clock import ManualClock
from domain.streams.rules import Appended, Event, Head, Slice, payload_of
from realtime.gateway.client import Client
from realtime.gateway.events.session import Position
from realtime.gateway.streams.continuity import Continuity, Verdict, continuity
from realtime.gateway.streams.cursor import UNPLACED, Cursor, Hearing
from realtime.gateway.streams.cursors import LINGER_SECONDS, Cursors
from realtime.gateway.streams.held import Held, Load
from realtime.gateway.streams.metrics import StreamMetrics
from realtime.wire.packets import Packet

STREAM = "user:1"
WHO = Identity(UUID(int=1), 1, "ada", UUID(int=2), Role.USER, "phone", 0)


@dataclass
class Ears:
    """Which streams the node wishes to hear of."""

    heard: set[str] = field(default_factory=set)

    def listen(self, stream: str) -> None:
        self.heard.add(stream)

    def unlisten(self, stream: str) -> None:
        self.heard.remove(stream)


class App:
    """What is at the other end of a socket: an app that keeps its position, as the docs tell it to."""

    sid = "app"
    closed = False

    def __init__(self, epoch: str, seq: int) -> None:
        self.epoch = epoch
        self.last = seq
        self.aside: list[int] = []
        """What came while something before it was missing."""
        self.got: list[tuple[str, int]] = []
        """Everything it was given on this connection, as an event or in an answer."""
        self.lost = False
        """Whether it has to resume."""

    def send(self, packet: Packet) -> None:
        name, payload = json.loads(packet.text[2:])
        if name == "session:streams":
            place = payload["streams"][STREAM]
            self.stands(place["epoch"], place["head"])
        else:
            self.got.append((payload["epoch"], payload["seq"]))
            self.event(payload["seq"])

    def stands(self, epoch: str, head: int) -> None:
        """The stream stands here: what it lacks it has to ask for."""
        self.aside.clear()
        self.lost = (epoch, head) != (self.epoch, self.last)

    def event(self, seq: int) -> None:
        if self.lost:
            self.aside.append(seq)
        else:
            assert seq == self.last + 1
            self.last = seq

    def answered(self, recovered: bool, epoch: str, head: int, seqs: list[int]) -> None:
        self.got += [(epoch, seq) for seq in seqs]
        if recovered:
            assert epoch == self.epoch
            for seq in seqs:
                assert seq == self.last + 1
                self.last = seq
        else:
            self.epoch, self.last = epoch, head
        self.lost = False
        aside, self.aside = self.aside, []
        for seq in aside:
            if seq > self.last:
                self.event(seq)
        assert self.last == head


@dataclass
class Connection:
    app: App
    client: Client


@dataclass
class Asking:
    """A session:resume on its way."""

    app: App
    hearing: Hearing
    held: Held
    position: Position
    part: Slice | None = None
    asked: Head = field(default_factory=lambda: Head("", UNPLACED))
    """Where the cursor stood when the part was read."""


class Stream(RuleBasedStateMachine):
    """The stream, the node's cursor, and those who listen."""

    late = Bundle("late")
    """What was asked of Postgres, and not yet taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.events, self.pruned_to = "e0", list[Event](), 0
        self.hints: list[Appended] = []
        self.ears = Ears()
        self.clock = ManualClock()
        self.cursors = Cursors(self.ears, self.clock, StreamMetrics(CollectorRegistry()))
        self.connections: list[Connection] = []
        self.asking: list[Asking] = []
        self.gone: list[tuple[str, int]] = [("e0", 0)]
        """Positions of those who left, and may come back."""

    # The database

    @property
    def head(self) -> Head:
        return Head(self.epoch, len(self.events))

    def read(self, after: int, limit: int = 1000) -> Slice:
        after = max(after, self.pruned_to)
        return Slice(self.head, self.pruned_to, tuple(self.events[after : after + limit]))

    @initialize(number=st.integers(0, 3))
    def begin(self, number: int) -> None:
        """There are events, and somebody who has them all listens."""
        self.commit(number)
        self.gone = [self.head]
        self._connect(self.head)

    @rule(number=st.integers(1, 3))
    def commit(self, number: int) -> None:
        for _ in range(number):
            seq = len(self.events) + 1
            body = b'{"epoch":"%b"}' % self.epoch.encode()
            self.events.append(Event(seq, "test:event", payload_of(STREAM, seq, 0, body)))
        if number:
            self.hints.append(Appended(STREAM, self.epoch, tuple(self.events[-number:])))

    @precondition(lambda self: self.events)
    @rule(left=st.floats(0, 1))
    def restore(self, left: float) -> None:
        """A backup is brought back, without what came after it; and its epochs are renewed."""
        del self.events[round(left * len(self.events)) :]
        self.pruned_to = min(self.pruned_to, len(self.events))
        self.epoch = f"e{int(self.epoch[1:]) + 1}"

    @precondition(lambda self: self.pruned_to < len(self.events))
    @rule(share=st.floats(0, 1))
    def prune(self, share: float) -> None:
        self.pruned_to = max(self.pruned_to, round(share * len(self.events)))

    # The bus: any hint, any number of times, whenever, or never

    @precondition(lambda self: self.hints)
    @rule(data=st.data())
    def hint(self, data: st.DataObject) -> None:
        self.cursors.said(data.draw(st.sampled_from(self.hints)))

    @precondition(lambda self: self.hints)
    @rule()
    def newest_hint(self) -> None:
        self.cursors.said(self.hints[-1])

    # Reads, each taken in some time after it was made

    @property
    def cursor(self) -> Cursor | None:
        return self.cursors.get(STREAM)

    @property
    def _cursor(self) -> Cursor:
        assert self.cursor is not None
        return self.cursor

    @precondition(lambda self: self.cursor and not self.cursor.placed)
    @rule(target=late)
    def ask_where_it_stands(self) -> Callable[[], None]:
        cursor, head = self._cursor, self.head
        return lambda: self.cursors.place(cursor, head)

    @precondition(lambda self: self.cursor and self.cursor.placed and self.cursor.head != self.head)
    @rule(target=late)
    def ask_whether_it_differs(self) -> Callable[[], None]:
        cursor, head, asked = self._cursor, self.head, self._cursor.head
        return lambda: self.cursors.compare(cursor, head, asked)

    @precondition(lambda self: self.cursor and self.cursor.behind)
    @rule(target=late, limit=st.integers(1, 4))
    def read_a_gap(self, limit: int) -> Callable[[], None]:
        cursor = self._cursor
        part, asked = self.read(cursor.seq, limit), cursor.head
        return lambda: self.cursors.fill(cursor, part, asked)

    @rule(answer=consumes(late))
    def take_in(self, answer: Callable[[], None]) -> None:
        answer()

    # Clients

    @rule(data=st.data())
    def connect(self, data: st.DataObject) -> None:
        """Somebody comes with a position from before, and is greeted as soon as it is known where the stream stands."""
        self._connect(data.draw(st.sampled_from(self.gone)))

    def _connect(self, position: tuple[str, int]) -> None:
        app = App(*position)
        client = Client(app, WHO)  # type: ignore[arg-type]
        hearing = self.cursors.join(client, STREAM)
        if hearing.cursor.placed:
            app.stands(*hearing.cursor.head)
        else:
            app.lost = True
        self.connections.append(Connection(app, client))

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        self._leave(data.draw(st.sampled_from(self.connections)))

    def _leave(self, connection: Connection) -> None:
        self.connections.remove(connection)
        self.asking = [one for one in self.asking if one.app is not connection.app]
        self.cursors.leave_all(connection.client)
        self.gone.append((connection.app.epoch, connection.app.last))

    @precondition(lambda self: self.cursor and self.cursor.idle)
    @rule()
    def time_passes(self) -> None:
        self.clock._advance(self.clock.monotonic() + LINGER_SECONDS)
        self.cursors.forget_old()

    def _lost(self) -> list[Connection]:
        asking = {one.app for one in self.asking}
        return [each for each in self.connections if each.app.lost and each.app not in asking]

    @precondition(lambda self: self._lost())
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self._ask(data.draw(st.sampled_from(self._lost())))

    def _ask(self, connection: Connection) -> None:
        (hearing,) = connection.client.hearings
        position = Position(connection.app.epoch, connection.app.last)
        held = hearing.cursor.hold(hearing, Load())
        self.asking.append(Asking(connection.app, hearing, held, position))

    @precondition(lambda self: self.asking)
    @rule(data=st.data())
    def read_for_a_resume(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.asking))
        self._read_for(one)

    def _read_for(self, one: Asking) -> None:
        one.part, one.asked = self.read(one.position.seq), one.hearing.cursor.head

    @precondition(lambda self: self.asking)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self._answer(data.draw(st.sampled_from(self.asking)))

    def _answer(self, one: Asking) -> None:
        cursor = one.hearing.cursor
        if one.part is not None and not self.cursors.compare(cursor, one.part.head, one.asked):
            one.part = None
        one.held.restarted = False
        found = continuity(cursor, one.hearing.start, one.held.at, one.position, one.part)
        one.part = None
        if found.verdict is Verdict.READ:
            return
        self.asking.remove(one)
        self._tell(one, cursor, found)

    def _tell(self, one: Asking, cursor: Cursor, found: Continuity) -> None:
        recovered = found.verdict is Verdict.RECOVERED
        upto = found.upto if recovered else one.held.at
        one.app.answered(recovered, cursor.epoch, upto, [event.seq for event in found.events])
        self.cursors.go_on(one.hearing, upto)

    # What always holds, and what holds in the end

    @invariant()
    def nobody_is_given_anything_twice(self) -> None:
        for connection in self.connections:
            assert len(set(connection.app.got)) == len(connection.app.got)

    def teardown(self) -> None:
        """The network is well: a second look, reads that arrive, and those who have to resume do."""
        for _ in range(4):
            self._settle()
            for connection in self._lost():
                self._ask(connection)
            for one in list(self.asking):
                self._read_for(one)
                self._answer(one)
        for connection in self.connections:
            assert not connection.app.lost
            assert (connection.app.epoch, connection.app.last) == self.head
        for connection in list(self.connections):
            self._leave(connection)
        self.time_passes()
        assert len(self.cursors) == 0
        assert self.ears.heard == set()

    def _settle(self) -> None:
        cursor = self.cursor
        if cursor is None:
            return
        self.cursors.compare(cursor, self.head, cursor.head)
        for _ in range(len(self.events)):
            if cursor.behind:
                self.cursors.fill(cursor, self.read(cursor.seq, 3), cursor.head)
        assert not cursor.behind


TestStream: Any = Stream.TestCase
TestStream.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def test_what_was_read_before_numbers_went_back_is_not_released() -> None:
    """Postgres fails over to a standby that was behind, while a gap is read from the one before."""

    def events(*seqs: int, epoch: str) -> tuple[Event, ...]:
        return tuple(Event(seq, "a:b", b'{"epoch":"%b","seq":%d}' % (epoch.encode(), seq)) for seq in seqs)

    cursors = Cursors(Ears(), ManualClock(), StreamMetrics(CollectorRegistry()))
    app = App("e", 10)
    cursor = cursors.join(Client(app, WHO), STREAM).cursor  # type: ignore[arg-type]
    cursors.place(cursor, Head("e", 10))
    asked = cursor.head
    cursors.compare(cursor, Head("e", 8), asked)
    cursors.fill(cursor, Slice(Head("e", 12), 0, events(11, 12, epoch="before")), asked)
    assert not cursors.compare(cursor, Head("e", 12), asked)
    cursors.said(Appended(STREAM, "e", events(9, 10, 11, epoch="after")))
    assert app.got == [("after", 9), ("after", 10), ("after", 11)]
    assert not cursor.behind
