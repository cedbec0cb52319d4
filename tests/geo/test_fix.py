import math

import pytest

from geo.fix import EARLIEST_MS, FURTHEST_AHEAD_MS, LARGEST_SEQ, Fix, fault_of

NOW = 1_750_000_000_000
GOOD = {"seq": 3, "timestamp": NOW, "latitude": 47.0, "longitude": 8.0}


def test_a_good_fix_has_no_fault() -> None:
    assert fault_of(Fix(**GOOD), NOW) is None
    full = Fix(**GOOD, altitude=-3.0, accuracy=5.0, speed=0.0, heading=360.0, lean=-41.0, battery=1.0)
    assert fault_of(full, NOW) is None


@pytest.mark.parametrize("seconds", [(EARLIEST_MS - NOW) // 1000, -3600, FURTHEST_AHEAD_MS // 1000])
def test_old_fixes_and_those_of_the_next_day_are_taken(seconds: int) -> None:
    assert fault_of(Fix(**GOOD | {"timestamp": NOW + seconds * 1000}), NOW) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", -1),
        ("seq", LARGEST_SEQ + 1),
        ("timestamp", -1),
        ("timestamp", EARLIEST_MS - 1),
        ("timestamp", NOW // 1000),
        ("timestamp", NOW + FURTHEST_AHEAD_MS + 1),
        ("latitude", 90.01),
        ("latitude", math.nan),
        ("latitude", -math.inf),
        ("longitude", -180.01),
        ("longitude", math.nan),
        ("altitude", math.inf),
        ("accuracy", -0.1),
        ("accuracy", math.nan),
        ("speed", -1.0),
        ("heading", 361.0),
        ("lean", 91.0),
        ("battery", 1.01),
    ],
)
def test_a_fault_names_the_field(field: str, value: float) -> None:
    fault = fault_of(Fix(**GOOD | {field: value}), NOW)
    assert fault is not None
    assert fault.field == field
    assert fault.message


def test_null_island_is_no_position() -> None:
    assert fault_of(Fix(**GOOD | {"latitude": 0.0, "longitude": 0.0}), NOW) is not None
    assert fault_of(Fix(**GOOD | {"latitude": 0.0}), NOW) is None
