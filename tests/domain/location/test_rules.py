"""Who sees a fix, and how often a phone sends."""

import pytest

from domain.location.rules import IntervalReason, Place, channels_of, region_channel, send_interval
from domain.sharing.rules import Audience, SharingPolicy
from geo.cells import cell_at
from geo.zones import Zone

NOW_MS = 1_800_000_000_000
HOME = Zone(45.0, 9.0, 500.0)


def place(latitude: float, longitude: float) -> Place:
    return Place(latitude, longitude, cell_at(latitude, longitude))


AWAY = place(45.1, 9.1)


def policy(audience: Audience, *, expires_at_ms: int | None = None, zones: tuple[Zone, ...] = ()) -> SharingPolicy:
    return SharingPolicy(audience, expires_at_ms, zones, 1)


def test_the_public_sees_a_public_rider_by_region_and_followers_by_number() -> None:
    assert channels_of(policy(Audience.PUBLIC), 7, AWAY, NOW_MS) == {region_channel(AWAY.cell), "rider:7"}


def test_followers_alone_see_a_rider_who_shares_with_them() -> None:
    assert channels_of(policy(Audience.FOLLOWERS), 7, AWAY, NOW_MS) == {"rider:7"}


@pytest.mark.parametrize("audience", list(Audience))
def test_nobody_sees_a_rider_inside_a_zone(audience: Audience) -> None:
    zoned = policy(audience, zones=(HOME,))
    assert channels_of(zoned, 7, place(45.001, 9.001), NOW_MS) == frozenset()


def test_nobody_sees_a_rider_whose_policy_is_not_known() -> None:
    assert channels_of(None, 7, AWAY, NOW_MS) == frozenset()


def test_an_audience_ends_at_its_expiry() -> None:
    until = policy(Audience.PUBLIC, expires_at_ms=NOW_MS + 1)
    assert channels_of(until, 7, AWAY, NOW_MS)
    assert channels_of(until, 7, AWAY, NOW_MS + 1) == frozenset()


@pytest.mark.parametrize(
    ("watched", "speed", "battery", "expected"),
    [
        (True, 20.0, 0.9, (1000, IntervalReason.WATCHED)),
        (False, 20.0, None, (5000, IntervalReason.UNWATCHED)),
        (False, 0.1, 0.9, (10_000, IntervalReason.STANDING)),
        (True, 0.1, 0.9, (1000, IntervalReason.WATCHED)),
        (True, 20.0, 0.1, (2000, IntervalReason.BATTERY)),
        (False, None, 0.1, (10_000, IntervalReason.BATTERY)),
    ],
)
def test_a_phone_sends_as_often_as_somebody_looks(
    watched: bool, speed: float | None, battery: float | None, expected: tuple[int, IntervalReason]
) -> None:
    assert send_interval(watched=watched, speed=speed, battery=battery, watched_ms=1000, unwatched_ms=5000) == expected
