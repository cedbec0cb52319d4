"""Who may see a rider: what was chosen, what holds after its end, and the zones that go with it."""

import asyncio
import math
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update

from domain.db.tables import privacy_zones, users
from domain.kit.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from domain.kit.sealed import Sealer
from domain.sharing.rules import Audience, PolicyChange, SharingPolicy, effective
from domain.sharing.service import Sharing, SharingService
from domain.zones.rules import MOST_ZONES, Place, hide
from geo.geodesics import distance
from geo.zones import inside
from tests.support.accounts import SECRET, World

HOME = Place("home", 48.1371, 11.5754, 300.0)


async def test_a_rider_who_never_chose_shares_with_followers(accounts: World) -> None:
    rider = (await accounts.rider()).user.id

    assert await accounts.sharing.get(rider) == Sharing(Audience.FOLLOWERS, None, 0)
    assert await accounts.sharing.policy_of(rider) == SharingPolicy(Audience.FOLLOWERS, None, (), 0)


async def test_what_was_chosen_holds_and_the_nodes_are_told(accounts: World) -> None:
    user = (await accounts.rider()).user
    rider, until = user.id, accounts.clock.epoch_ms() + 3_600_123

    chosen = await accounts.sharing.set(rider, Audience.PUBLIC, until)

    assert chosen == await accounts.sharing.get(rider) == Sharing(Audience.PUBLIC, until, 1)
    assert await accounts.sharing.policy_of(rider) == SharingPolicy(Audience.PUBLIC, until, (), 1)
    assert accounts.told.changed == [PolicyChange(rider, user.rider, 1)]


async def test_every_change_has_a_higher_version(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    versions = [(await accounts.sharing.set(rider, Audience.PUBLIC, None)).version]
    zone = await accounts.zones.add(rider, HOME)
    versions.append((await accounts.sharing.policy_of(rider)).version)
    await accounts.zones.remove(rider, zone.id)
    versions.append((await accounts.sharing.policy_of(rider)).version)

    assert versions == [1, 2, 3]
    assert [change.version for change in accounts.told.changed] == versions
    assert {change.user_id for change in accounts.told.changed} == {rider}
    assert (await accounts.sharing.get(rider)).audience is Audience.PUBLIC


@pytest.mark.parametrize("audience", [Audience.GROUPS, Audience.RIDE])
async def test_audiences_to_come_are_unsupported(accounts: World, audience: Audience) -> None:
    rider = (await accounts.rider()).user.id

    with pytest.raises(Unsupported):
        await accounts.sharing.set(rider, audience, None)
    assert (await accounts.sharing.get(rider)).version == 0


@pytest.mark.parametrize("ahead_ms", [0, -1, 400 * 24 * 3600 * 1000, 2**52])
async def test_an_end_that_is_past_or_far_away_is_refused(accounts: World, ahead_ms: int) -> None:
    rider = (await accounts.rider()).user.id

    with pytest.raises(Invalid) as refused:
        await accounts.sharing.set(rider, Audience.PUBLIC, accounts.clock.epoch_ms() + ahead_ms)
    assert refused.value.field == "expires_at"


def test_after_its_end_an_audience_is_nobody() -> None:
    assert effective(Audience.PUBLIC, 1000, 999) is Audience.PUBLIC
    assert effective(Audience.PUBLIC, 1000, 1000) is Audience.NOBODY
    assert effective(Audience.PUBLIC, None, 2**60) is Audience.PUBLIC


async def test_nobody_sees_a_rider_who_does_not_exist(accounts: World) -> None:
    assert (await accounts.sharing.policy_of(uuid4())).audience is Audience.NOBODY
    with pytest.raises(NotFound):
        await accounts.sharing.set(uuid4(), Audience.PUBLIC, None)
    with pytest.raises(NotFound):
        await accounts.zones.add(uuid4(), HOME)


async def test_a_zone_covers_the_place_and_does_not_give_it_away(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    await accounts.zones.add(rider, HOME)

    (zone,) = (await accounts.sharing.policy_of(rider)).zones

    apart = distance(zone.latitude, zone.longitude, HOME.latitude, HOME.longitude)
    assert apart > 30
    assert apart + HOME.radius_metres <= zone.radius_metres
    assert inside([zone], HOME.latitude, HOME.longitude)


async def test_a_rider_sees_the_own_zones_as_drawn(accounts: World) -> None:
    rider, other = [(await accounts.rider(name)).user.id for name in ("ada", "bob")]
    first = await accounts.zones.add(rider, HOME)
    await accounts.clock.turn(1)
    second = await accounts.zones.add(rider, replace_name(HOME, "работа"))

    assert await accounts.zones.all_of(rider) == [first, second]
    assert first.place == HOME
    assert await accounts.zones.all_of(other) == []


def replace_name(place: Place, name: str) -> Place:
    return Place(name, place.latitude, place.longitude, place.radius_metres)


async def test_a_zone_drawn_again_is_displaced_as_before(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    displaced = set()
    for _ in range(3):
        zone = await accounts.zones.add(rider, HOME)
        displaced.update((await accounts.sharing.policy_of(rider)).zones)
        await accounts.zones.remove(rider, zone.id)

    assert len(displaced) == 1


def test_two_riders_and_two_secrets_displace_one_place_differently() -> None:
    one, two = uuid4(), uuid4()
    hidden = {
        (place.hidden_latitude, place.hidden_longitude)
        for place in (hide(HOME, one, b"a"), hide(HOME, two, b"a"), hide(HOME, one, b"b"))
    }
    assert len(hidden) == 3


@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    radius=st.floats(100, 5000),
    user=st.uuids(),
)
def test_any_place_on_earth_can_be_hidden(latitude: float, longitude: float, radius: float, user: object) -> None:
    zone = hide(Place("x", latitude, longitude, radius), user, SECRET.encode()).hidden  # type: ignore[arg-type]

    assert distance(zone.latitude, zone.longitude, latitude, longitude) + radius <= zone.radius_metres * 1.000001
    assert inside([zone], latitude, longitude)


async def test_neither_name_nor_place_is_stored_in_the_open(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    await accounts.zones.add(rider, HOME)
    async with accounts.engine.connect() as connection:
        kept = (await connection.execute(select(privacy_zones))).one()

    assert b"home" not in kept.sealed
    assert set(kept._fields) == {"id", "user_id", "sealed", "created_at"}


async def test_a_zone_that_does_not_open_hides_its_rider(accounts: World) -> None:
    rider, other = [(await accounts.rider(name)).user.id for name in ("ada", "bob")]
    for each in (rider, other):
        await accounts.sharing.set(each, Audience.PUBLIC, None)
    await accounts.zones.add(rider, HOME)
    async with accounts.engine.begin() as connection:  # moved to another rider's row
        await connection.execute(update(privacy_zones).values(user_id=other))

    assert (await accounts.sharing.policy_of(other)).audience is Audience.NOBODY
    assert (await accounts.sharing.policy_of(rider)).audience is Audience.PUBLIC


async def test_keys_of_seals_are_rotated(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    await accounts.zones.add(rider, HOME)
    both = Sealer({"test": SECRET, "new": "another secret"}, "new")
    rotated = SharingService(accounts.engine, accounts.clock, both, accounts.told, accounts.streams)

    assert len((await rotated.policy_of(rider)).zones) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"latitude": 90.01}, "latitude"),
        ({"latitude": math.nan}, "latitude"),
        ({"longitude": -180.5}, "longitude"),
        ({"longitude": math.inf}, "longitude"),
        ({"radius_metres": 99.0}, "radius_metres"),
        ({"radius_metres": 5001.0}, "radius_metres"),
        ({"radius_metres": math.nan}, "radius_metres"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "x" * 61}, "name"),
    ],
    ids=ascii,
)
async def test_a_zone_that_cannot_be_is_refused(accounts: World, changed: dict[str, object], field: str) -> None:
    rider = (await accounts.rider()).user.id
    good = {name: getattr(HOME, name) for name in HOME.__struct_fields__}

    with pytest.raises(Invalid) as refused:
        await accounts.zones.add(rider, Place(**good | changed))
    assert refused.value.field == field
    assert await accounts.zones.all_of(rider) == []


async def test_there_is_a_most_of_zones_even_at_once(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    for _ in range(MOST_ZONES - 2):
        await accounts.zones.add(rider, HOME)

    last = await asyncio.gather(*(accounts.zones.add(rider, HOME) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(each, Conflict) for each in last) == 3
    assert len(await accounts.zones.all_of(rider)) == MOST_ZONES


async def test_nobody_removes_the_zone_of_another(accounts: World) -> None:
    rider, eve = [(await accounts.rider(name)).user.id for name in ("ada", "eve")]
    zone = await accounts.zones.add(rider, HOME)

    for user_id, zone_id in ((eve, zone.id), (rider, uuid4())):
        with pytest.raises(NotFound):
            await accounts.zones.remove(user_id, zone_id)
    assert len(await accounts.zones.all_of(rider)) == 1


async def test_everything_goes_with_the_account(accounts: World) -> None:
    rider = (await accounts.rider()).user.id
    await accounts.zones.add(rider, HOME)
    async with accounts.engine.begin() as connection:
        await connection.execute(delete(users))
        left = await connection.execute(
            text("SELECT (SELECT count(*) FROM sharing) + (SELECT count(*) FROM privacy_zones)")
        )

        assert left.scalar_one() == 0


async def test_a_hint_that_is_lost_does_not_undo_the_choice(accounts: World) -> None:
    rider = (await accounts.rider()).user.id

    async def unheard(_change: object) -> None:
        raise Unavailable("Redis is away")

    accounts.told.policy_changed = unheard  # type: ignore[method-assign]
    await accounts.sharing.set(rider, Audience.NOBODY, None)
    await accounts.zones.add(rider, HOME)

    policy = await accounts.sharing.policy_of(rider)
    assert (policy.audience, len(policy.zones)) == (Audience.NOBODY, 1)
    assert replace(policy, zones=()).version == 2
