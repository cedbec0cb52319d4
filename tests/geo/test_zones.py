from hypothesis import given
from hypothesis import strategies as st

from geo.geodesics import destination, distance
from geo.zones import LARGEST_OFFSET, SMALLEST_OFFSET, Zone, displace, inside

LATITUDES = st.floats(-89, 89)
LONGITUDES = st.floats(-180, 180)
RADII = st.floats(100, 5000)
TURNS = st.floats(0, 360)
SECRETS = st.binary(min_size=16, max_size=16)


@given(LATITUDES, LONGITUDES, RADII, TURNS, st.floats(0, 1))
def test_what_lies_within_the_radius_is_inside(
    latitude: float, longitude: float, radius: float, turn: float, share: float
) -> None:
    place = destination(latitude, longitude, turn, radius * share)
    assert inside([Zone(latitude, longitude, radius)], *place)


@given(LATITUDES, LONGITUDES, RADII, TURNS, st.floats(1.0, 3.0))
def test_what_lies_clearly_outside_is_not(
    latitude: float, longitude: float, radius: float, turn: float, factor: float
) -> None:
    place = destination(latitude, longitude, turn, radius * factor + 2.5)
    assert not inside([Zone(latitude, longitude, radius)], *place)


@given(LATITUDES, LONGITUDES, RADII, TURNS, st.floats(0, 10))
def test_a_shown_position_is_outside_even_when_rounded_for_the_wire(
    latitude: float, longitude: float, radius: float, turn: float, beyond: float
) -> None:
    zone = Zone(latitude, longitude, radius)
    shown = destination(latitude, longitude, turn, radius + beyond)
    if not inside([zone], *shown):
        rounded = round(shown[0], 5), round(shown[1], 5)
        assert distance(latitude, longitude, *rounded) > radius


def test_no_zone_hides_nothing() -> None:
    assert not inside([], 47.0, 8.0)


@given(LATITUDES, LONGITUDES, RADII, SECRETS, TURNS)
def test_a_displaced_zone_covers_the_whole_place(
    latitude: float, longitude: float, radius: float, secret: bytes, turn: float
) -> None:
    zone = displace(latitude, longitude, radius, secret)
    assert inside([zone], latitude, longitude)
    assert inside([zone], *destination(latitude, longitude, turn, radius))


@given(LATITUDES, LONGITUDES, RADII, SECRETS)
def test_a_displaced_centre_is_elsewhere_but_near(
    latitude: float, longitude: float, radius: float, secret: bytes
) -> None:
    zone = displace(latitude, longitude, radius, secret)
    offset = distance(latitude, longitude, zone.latitude, zone.longitude)
    assert SMALLEST_OFFSET * radius - 0.01 <= offset <= LARGEST_OFFSET * radius + 0.01


def test_the_radius_does_not_tell_the_offset_and_the_secret_decides() -> None:
    zones = [displace(47.0, 8.0, 500.0, bytes([number] * 16)) for number in range(50)]
    assert len({zone.radius_metres for zone in zones}) == 1
    assert len({(zone.latitude, zone.longitude) for zone in zones}) == 50
    assert zones[7] == displace(47.0, 8.0, 500.0, bytes([7] * 16))
