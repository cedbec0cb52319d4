"""What stress counts as wrong: in what devices were sent, on maps, in PostGIS, in levels. It must be able to fail."""

from collections.abc import Iterable
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from loadtests.stress.continuity import Follower
from loadtests.stress.faults import Happened, Timeline
from loadtests.stress.levels import leaks
from loadtests.stress.paths import Path
from loadtests.stress.recorded import faults_of
from loadtests.stress.ride import Ride
from loadtests.stress.schedule import Fault, Kind, Mending
from loadtests.stress.sight import Sight
from loadtests.stress.tamper import SABOTAGES, Sabotage, Tamper

STREAM = "user:1"
LIFE_SECONDS = 15.0
START = (4_650_000, 830_000)


def event(seq: int) -> dict[str, Any]:
    return {"stream": STREAM, "seq": seq, "note": 100 + seq}


def answer(epoch: str, head: int, seqs: Iterable[int]) -> dict[str, Any]:
    return {"recovered": True, "epoch": epoch, "head": head, "events": [["note", event(seq)] for seq in seqs]}


TRUTH = {seq: 100 + seq for seq in range(1, 21)}


def follow(tamper: Tamper) -> list[str]:
    """Twenty events over two connections: ten that came, five that were missed, five that came before the answer."""
    follower, faults = Follower(STREAM), list[str]()
    follower.connected()
    assert not follower.begins("a", 0)
    for seq in range(1, 11):
        for given in tamper.through("first", event(seq)):
            faults += follower.event(given)
    follower.connected()
    if follower.begins("a", 15):
        for seq in range(16, 21):
            for given in tamper.through("second", event(seq)):
                faults += follower.event(given)
        begin = 0 if follower.position is None else follower.position.seq
        faults += follower.resumed(answer("a", 20, range(begin + 1, 16)))
    return [*faults, *follower.missing(TRUTH)]


def test_a_device_that_got_everything_once_and_in_order_has_no_fault() -> None:
    assert follow(Tamper(None)) == []


@pytest.mark.parametrize("how", SABOTAGES)
@pytest.mark.parametrize("first", [3, 8, 11, 13])
def test_one_event_that_is_lost_doubled_or_swapped_is_a_fault(how: Sabotage, first: int) -> None:
    tamper = Tamper(how, first=first)
    faults = follow(tamper)
    assert tamper.done
    assert faults


def test_what_is_lost_at_the_end_of_a_connection_comes_with_the_answer_and_is_tampered_with_again() -> None:
    tamper = Tamper("lose", first=9)
    assert follow(tamper)
    assert tamper.done


def test_a_stream_that_is_not_recovered_is_a_fault_and_so_is_an_event_twice_on_a_connection() -> None:
    follower = Follower(STREAM)
    follower.connected()
    follower.begins("a", 5)
    assert follower.event(event(6)) == []
    follower.connected()
    assert follower.begins("b", 0)
    assert follower.resumed({"recovered": False, "epoch": "b", "head": 0, "snapshot": {}}) == [
        "user:1 was not recovered"
    ]
    follower.connected()
    assert follower.begins("b", 2)
    follower.event(event(3))
    assert "twice on a connection" in " ".join(follower.resumed(answer("b", 3, [1, 2, 3])))


def test_events_that_a_node_behind_the_last_one_sends_before_it_is_asked_are_no_fault() -> None:
    follower = Follower(STREAM)
    follower.connected()
    follower.begins("a", 0)
    for seq in range(1, 9):
        follower.event(event(seq))
    follower.connected()
    assert follower.begins("a", 5)
    faults = [fault for seq in (6, 7, 8, 9) for fault in follower.event(event(seq))]
    assert faults + follower.resumed(answer("a", 9, [])) == []
    assert follower.missing({seq: 100 + seq for seq in range(1, 10)}) == []
    follower.connected()
    follower.begins("a", 7)
    follower.event({**event(8), "note": 0})
    assert follower.resumed(answer("a", 9, [])), "another event under a number that it had"


# Maps


def ride_of(rider: int, fixes: int) -> Ride:
    ride = Ride(rider, uuid4())
    for number in range(fixes):
        fix = ride.add((START[0] + number, START[1]), 1_000 * number)
        fix.sent_at = number / 4
        ride.heard_by = fix.sent_at
    return ride


def snapshot(topic: str, *rows: list[int]) -> dict[str, Any]:
    return {"topic": topic, "origin": [START[0] / 1e5, START[1] / 1e5], "riders": list(rows), "snapshot": True}


def row(rider: int, seq: int) -> list[int]:
    return [rider, seq, 0, -1, -1, 0]


@pytest.fixture
def sight() -> Sight:
    rides = {1: ride_of(1, 20)}
    seen = Sight(rides, life_seconds=LIFE_SECONDS, since=0.0)
    for topic in ("here", "there"):
        assert seen.apply(snapshot(topic), 0.0) == []
    return seen


def test_a_rider_who_moves_on_and_changes_topics_is_one_dot(sight: Sight) -> None:
    assert sight.apply({"topic": "here", "riders": [row(1, 3)]}, 1.0) == []
    assert sight.apply({"topic": "there", "riders": [row(1, 4)]}, 1.2) == []
    assert sight.apply({"topic": "here", "gone": [1]}, 1.21) == []
    assert sight.shown(1) == 4
    assert [fix.seq for fix in sight.news] == []


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([{"topic": "here", "riders": [row(1, 2)]}], "went back from fix 5 to fix 2"),
        ([{"topic": "here", "riders": [row(1, 900)]}], "where they never were"),
        ([{"topic": "here", "gone": [1]}], "is nowhere"),
        ([snapshot("here")], "is nowhere"),
        ([{"topic": "there", "riders": [row(1, 6)]}, {"topic": "there", "riders": [row(1, 7)]}], "in two places"),
    ],
)
def test_what_must_never_be_on_a_map(sight: Sight, frames: list[dict[str, Any]], fault: str) -> None:
    assert sight.apply({"topic": "here", "riders": [row(1, 5)]}, 1.0) == []
    faults = [found for number, frame in enumerate(frames) for found in sight.apply(frame, 2.0 + number)]
    assert any(fault in found for found in faults), faults


def test_a_dot_that_ends_by_its_age_or_with_its_track_is_no_fault(sight: Sight) -> None:
    sight.apply({"topic": "here", "riders": [row(1, 19)]}, 5.0)
    assert sight.apply({"topic": "here", "gone": [1]}, 20.0) == []


@pytest.mark.parametrize("has_arrived", [True, False])
def test_a_dot_that_ends_by_its_age_is_missed_where_a_later_fix_had_arrived(has_arrived: bool) -> None:
    sight = Sight({1: ride_of(1, 20)}, life_seconds=4.0, since=0.0, has_arrived=lambda fix, now: has_arrived)
    sight.apply({**snapshot("here"), "riders": [row(1, 0)]}, 0.2)
    faults = sight.apply({"topic": "here", "gone": [1]}, 5.0)
    assert bool(faults) is has_arrived, faults


def test_what_was_sent_right_before_a_cut_may_be_on_its_way_until_that_is_healed() -> None:
    cut = Happened(Fault(Kind.NODE_CUT, at=0, seconds=5, node=1, mending=Mending.FLOWS), began=10.0)
    timeline, there, elsewhere = Timeline(), Path(1, 0, 0.0, 0.0), Path(0, 2, 0.0, 0.0)
    timeline.happened.append(cut)
    assert there.may_hold_up(timeline, sent_at=9.9, now=14.0)
    assert not there.may_hold_up(timeline, sent_at=9.0, now=14.0), "it had passed"
    assert not elsewhere.may_hold_up(timeline, sent_at=9.9, now=14.0)
    cut.healed = 15.0
    assert there.may_hold_up(timeline, sent_at=9.9, now=15.5)
    assert not there.may_hold_up(timeline, sent_at=9.9, now=18.0)


@pytest.mark.parametrize(("paused", "is_excused"), [(1, False), (0, True)])
def test_a_watchers_node_that_stood_still_has_to_know_what_came_meanwhile(paused: int, is_excused: bool) -> None:
    timeline = Timeline()
    pause = Fault(Kind.NODE_PAUSED, at=0, seconds=5, node=paused)
    timeline.happened.append(Happened(pause, began=10.0, healed=15.0))
    assert Path(0, 1, 0.0, 0.0).may_hold_up(timeline, sent_at=10.2, now=15.1) is is_excused


# What is kept


def test_a_fix_that_is_lost_doubled_or_moved_in_the_database_is_a_fault() -> None:
    ride = ride_of(1, 5)
    for fix in ride.fixes[:4]:
        fix.kept = True
    rows = [(fix.seq, fix.timestamp, fix.place) for fix in ride.fixes]
    assert faults_of(ride, rows) == []
    assert faults_of(ride, rows[:4]) == [], "the last one was never acknowledged"
    assert "lost" in " ".join(faults_of(ride, rows[1:]))
    assert "twice" in " ".join(faults_of(ride, [*rows, rows[2]]))
    moved = (2, rows[2][1], (0, 0))
    assert "not as they were sent" in " ".join(faults_of(ride, [*rows[:2], moved, *rows[3:]]))


def test_what_is_open_with_nobody_there_is_a_leak() -> None:
    before = {"node-1": {"tasks": 30.0, "hub_topics": 0.0, "redis_connections": 12.0}}
    assert leaks(before, {"node-1": {"tasks": 30.0, "hub_topics": 0.0, "redis_connections": 20.0}}) == []
    assert leaks(before, {"node-1": {"tasks": 31.0, "hub_topics": 0.0}}) == [
        "node-1 has 31 tasks with nobody there, 30 before"
    ]


def test_tampering_is_decided_once() -> None:
    random = Random(1)
    tamper = Tamper("duplicate", first=random.randrange(3))
    given = [payload["seq"] for seq in range(1, 9) for payload in tamper.through("one", event(seq))]
    assert len(given) == 9
