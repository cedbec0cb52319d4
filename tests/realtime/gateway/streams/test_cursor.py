"""What a cursor sends to whom, case by case; `test_cursor_model` tries what nobody thought of."""

import json
from dataclasses import dataclass, field

import pytest

from domain.streams.rules import Appended, Event, Head, Slice, payload_of
from realtime.gateway.streams.cursor import Cursor
from realtime.gateway.streams.held import Load
from realtime.wire.interface import OVERFLOWED, Closing
from realtime.wire.packets import Packet


@dataclass(eq=False)
class Phone:
    numbers: list[int] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)

    def send(self, packet: Packet) -> None:
        self.numbers.append(json.loads(packet.text[2:])[1]["seq"])

    def close(self, closing: Closing) -> None:
        self.closings.append(closing)


def said(*seqs: int, epoch: str = "e") -> Appended:
    return Appended("s:1", epoch, tuple(Event(seq, "test:event", payload_of("s:1", seq, 0, b"{}")) for seq in seqs))


def large(*seqs: int, size: int) -> Appended:
    return Appended("s:1", "e", tuple(Event(seq, "test:event", b'{"seq":%*d}' % (size - 8, seq)) for seq in seqs))


def placed(seq: int) -> Cursor:
    cursor = Cursor("s:1")
    cursor.place(Head("e", seq))
    return cursor


def test_only_the_next_number_is_released_and_each_once() -> None:
    cursor, phone = placed(2), Phone()
    cursor.join(phone)
    for hint in (said(5), said(4), said(2), said(4), said(3), said(3, 4, 5), said(6)):
        cursor.hear(hint)
    assert phone.numbers == [3, 4, 5, 6]
    assert not cursor.behind


@pytest.mark.parametrize(("size", "kept"), [(100, 256), (20_000, 3)])
def test_what_comes_too_early_is_kept_within_bounds_and_the_rest_is_read(size: int, kept: int) -> None:
    cursor, phone = placed(0), Phone()
    cursor.join(phone)
    for base in (0, kept + 2):  # what was released makes room for others
        early, last = range(base + 2, base + kept + 3), base + kept + 2
        cursor.hear(large(base + 2, size=size))  # what comes twice is counted once
        cursor.hear(large(*early, size=size))
        cursor.hear(large(base + 1, size=size))
        assert phone.numbers == list(range(1, last))
        assert cursor.behind
        cursor.fill(Slice(Head("e", last), 0, large(last, size=size).events))
        assert phone.numbers == list(range(1, last + 1))
        assert not cursor.behind


def test_what_comes_before_a_cursor_is_placed_counts_in_its_own_epoch_only() -> None:
    cursor, phone = Cursor("s:1"), Phone()
    cursor.join(phone)
    cursor.hear(said(3, 4, 5, epoch="old"))
    cursor.hear(said(3))
    cursor.place(Head("e", 2))
    assert phone.numbers == [3]
    assert not cursor.behind


def test_what_is_held_follows_the_answer_but_for_what_is_in_it() -> None:
    cursor, phone, other = placed(2), Phone(), Phone()
    hearing = cursor.join(phone)
    cursor.join(other)
    cursor.hold(hearing, Load())
    cursor.hear(said(3, 4, 5))
    assert (phone.numbers, other.numbers) == ([], [3, 4, 5])
    assert cursor.go_on(hearing, after=3)
    cursor.hear(said(6))
    assert phone.numbers == [4, 5, 6]


def test_one_for_whom_too_much_is_held_is_closed_whatever_streams_it_is_of() -> None:
    cursors, phone, other, load = [placed(0), placed(0)], Phone(), Phone(), Load()
    hearings = [cursor.join(phone) for cursor in cursors]
    for cursor, hearing in zip(cursors, hearings, strict=True):
        cursor.hold(hearing, load)
        cursor.hold(cursor.join(other), Load())
        assert not phone.closings
        cursor.hear(large(1, 2, 3, size=100 << 10))
    assert phone.closings == [OVERFLOWED]
    for cursor, hearing in zip(cursors, hearings, strict=True):
        cursor.go_on(hearing, after=0)
    assert phone.numbers == [1, 2, 3, 1, 2]  # no more was kept
    assert not other.closings


def test_who_has_more_than_this_node_waits_for_it() -> None:
    cursor, phone = placed(2), Phone()
    hearing = cursor.join(phone)
    cursor.hold(hearing, Load())
    assert cursor.go_on(hearing, after=4)
    cursor.hear(said(3, 4, 5))
    assert phone.numbers == [5]
    assert hearing in cursor


def test_a_stream_that_begins_anew_makes_what_was_found_void() -> None:
    cursor, phone = placed(8), Phone()
    hearing = cursor.join(phone)
    cursor.hold(hearing, Load())
    cursor.restart(Head("new", 3))
    assert not cursor.go_on(hearing, after=8)
    assert hearing.start == 3
    cursor.hear(said(4, epoch="new"))
    assert phone.numbers == [4]
    assert not cursor.hear(said(5))


def test_whoever_leaves_is_sent_nothing_wherever_it_was() -> None:
    cursor, phones = placed(0), [Phone() for _ in range(12)]  # more than a tuple holds
    hearings = [cursor.join(phone) for phone in phones]
    cursor.hold(hearings[0], Load())
    cursor.hold(hearings[1], Load())
    cursor.go_on(hearings[1], after=5)
    for hearing in hearings[:3]:
        cursor.leave(hearing)
    cursor.go_on(hearings[0], after=0)
    cursor.hear(said(1, 2, 3, 4, 5, 6))
    assert [len(phone.numbers) for phone in phones] == [0, 0, 0] + [6] * 9
    for hearing in hearings[3:]:
        cursor.leave(hearing)
    assert cursor.idle
