"""The wire's benchmark: its arithmetic, its report, and one small load against the C floor."""

import os
from pathlib import Path

import pytest

from loadtests.bench.wire.generator import Generator, LoadFailed
from loadtests.bench.wire.measuring import CpuMeter, memory_bytes
from loadtests.bench.wire.processes import Child, DidNotStart
from loadtests.bench.wire.report import summary, table
from loadtests.bench.wire.results import FLOOR, NODE, OURS, PLAIN, Reading, Results, spread
from loadtests.bench.wire.workspace import workspace
from server.stack.ports import free_port

LISTENERS = 5
EVENT = '42["event",{"id":1}]'


def results(**figures: list[float | None]) -> Results:
    """Fan-out readings by peer."""
    names = {"ours": OURS, "node": NODE, "plain": PLAIN, "floor": FLOOR}
    return Results(Reading("fanout-flow", names[peer], value) for peer, values in figures.items() for value in values)


def test_ratios_are_those_of_the_medians() -> None:
    found = results(ours=[6, 5, 30], node=[10, 12, 11], floor=[5, 4, 4])
    assert found.ratio("fanout-flow", NODE) == pytest.approx(6 / 11)
    assert [(one.goal.peer, one.reached) for one in found.verdicts()] == [(NODE, True), (FLOOR, False)]


def test_a_round_without_a_value_leaves_the_cell_and_its_goals_open() -> None:
    found = results(ours=[6, 6], node=[10, None])
    assert found.median("fanout-flow", NODE) is None
    assert [one.reached for one in found.verdicts()] == [None, None]
    lines = list(table(found, {}))
    assert "not sustained" in lines[1]
    assert lines[3].endswith("open")


def test_the_goal_of_a_figure_without_a_peer_is_the_figure_itself() -> None:
    found = Results([Reading("neighbour-json", OURS, 31.0), Reading("neighbour-msgpack", OURS, 17.0)])
    assert {one.figure.name: one.reached for one in found.verdicts()} == {
        "neighbour-json": True,
        "neighbour-msgpack": False,
    }


def test_the_object_has_every_round_and_every_goal() -> None:
    told = summary(results(ours=[6, 5, 7], node=[10, 12, 11]), {"rounds": 3})
    assert told["figures"]["fanout-flow"]["ours"]["median"] == 6
    assert told["figures"]["fanout-flow"]["node"]["rounds"] == [10, 12, 11]
    assert told["goals"][0] == {
        "figure": "fanout-flow",
        "against": NODE,
        "goal": 1.0,
        "is": pytest.approx(6 / 11, abs=1e-4),
        "reached": True,
    }
    assert told["rounds"] == 3


def test_the_spread_is_half_the_distance_between_the_rounds() -> None:
    assert spread([9, 10, 11]) == pytest.approx(0.1)


def test_what_is_sent_to_the_floor_is_what_is_counted(tmp_path: Path) -> None:
    cores = os.sched_getaffinity(0)
    with workspace() as built:
        port = free_port()
        floor = Child("floor", [str(built.floor), str(port), EVENT], cores, tmp_path / "floor.log")
        try:
            floor.wait_until_serving(f"http://127.0.0.1:{port}/")
            meter = CpuMeter(floor.pid)
            with Generator(built.generator, port, cores, tmp_path) as generator:
                _broadcast(generator)
            assert 0 < meter.read().seconds < 5
            assert memory_bytes(floor.pid) > 10_000
        finally:
            floor.kill()
        with pytest.raises(DidNotStart, match="floor ended"):
            floor.check()


def _broadcast(generator: Generator) -> None:
    generator.group("room")
    generator.group("driver")
    assert generator.open("room", LISTENERS).groups["room"].ready == LISTENERS
    generator.open("driver", 1)
    generator.events("room", ['["join",{}]'])
    generator.events("driver", ['["go",{"number":{seq},"at":{now},"place":{wave:1}}]'])
    joined = generator.once("room")
    assert joined.groups["room"].acks == LISTENERS

    paced = generator.pace("driver", 20, 0.3, listeners="room")
    assert paced.done
    assert paced.groups["driver"].sent == 15
    assert paced.groups["room"].events == 15 * LISTENERS
    assert paced.groups["room"].bytes == 15 * LISTENERS * (len(EVENT) + 2)

    flowing = generator.flow("driver", 2, 0.2, listeners="room")
    assert flowing.done
    assert flowing.groups["room"].events == flowing.groups["driver"].sent * LISTENERS > 15 * LISTENERS
    assert flowing.latency_us["count"] == flowing.groups["room"].events

    generator.close("room")
    with pytest.raises(LoadFailed, match="answered once"):
        generator.once("room", seconds=0.1)
