"""The numbers in a frame."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.hub.frames import Frame, degrees, eastward, middle, rows
from realtime.wire.packets import Format, encode_event
from tests.realtime.hub.riders import record

_HALF = 18_000_000
longitudes = st.integers(-_HALF, _HALF)


@given(longitudes, longitudes)
def test_the_offset_of_a_longitude_goes_the_short_way(longitude: int, origin: int) -> None:
    offset = eastward(longitude, origin)
    assert abs(offset) <= _HALF
    assert (origin + offset - longitude) % (2 * _HALF) == 0


def test_a_rider_just_across_the_antimeridian_is_a_small_offset_away() -> None:
    fiji = record(1, 1, (-17.0, -179.999), received_ms=0)
    ((_, north, east, *_),) = rows([fiji], (-1_700_000, 17_999_900), 0, 200)
    assert (north, east) == (0, 200)


def test_the_age_is_counted_in_ticks_and_never_negative() -> None:
    ages = [
        rows([record(1, 1, received_ms=received)], (0, 0), 10_000, 200)[0][5] for received in (10_500, 10_000, 9_601, 0)
    ]
    assert ages == [0, 0, 1, 50]


def test_the_middle_of_riders_on_both_sides_of_the_antimeridian_is_between_them() -> None:
    riders = [record(1, 1, (10.0, 179.9), received_ms=0), record(2, 1, (10.0, -179.7), received_ms=0)]
    assert middle(riders, (1_000_000, 17_990_000)) == (1_000_000, -17_990_000)


def test_empty_fields_are_left_out() -> None:
    packet = encode_event("location:frame", Frame("rider:1", gone=[4]))
    assert json.loads(packet.text[2:]) == ["location:frame", {"topic": "rider:1", "gone": [4]}]


@pytest.mark.parametrize(("form", "most"), [(Format.JSON, 32), (Format.MSGPACK, 16)])
def test_one_more_neighbour_is_a_few_bytes(form: Format, most: int) -> None:
    """A community of a hundred thousand, at town speeds, anywhere in a cell of resolution 7."""
    chance = random.Random(1)

    def frame(riders: int) -> int:
        offsets = [(chance.randint(-3000, 3000), chance.randint(-3000, 3000)) for _ in range(riders)]
        rows = [
            (chance.randrange(100_000), north, east, chance.randrange(180), chance.randrange(170), 0)
            for north, east in offsets
        ]
        return encode_event("location:frame", Frame("cell:871e15b71ffffff", riders=rows)).size(form)

    assert (frame(500) - frame(100)) / 400 <= most


def test_an_origin_is_sent_in_degrees_with_five_decimals() -> None:
    assert json.dumps(degrees((4_820_820, 1_637_380))) == "[48.2082, 16.3738]"
