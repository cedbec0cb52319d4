"""Zones and sharing over REST."""

from tests.rest.conftest import Rest
from tests.rest.problems import problem

HOME = {"name": "home", "latitude": 48.1371, "longitude": 11.5754, "radius_metres": 300}


async def test_a_zone_is_drawn_listed_and_removed(rest: Rest) -> None:
    headers = await rest.sign_in()

    drawn = await rest.client.post("/v1/users/zones", json=HOME, headers=headers)
    listed = (await rest.client.get("/v1/users/zones", headers=headers)).json()
    removed = await rest.client.delete(f"/v1/users/zones/{drawn.json()['id']}", headers=headers)

    assert drawn.status_code == 201
    assert drawn.json() == HOME | {"id": drawn.json()["id"], "created_at": rest.world.clock.epoch_ms()}
    assert listed == {"zones": [drawn.json()]}
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await rest.client.get("/v1/users/zones", headers=headers)).json() == {"zones": []}


async def test_zones_are_for_their_rider_only(rest: Rest) -> None:
    ada, eve = await rest.sign_in("ada"), await rest.sign_in("eve")
    zone = (await rest.client.post("/v1/users/zones", json=HOME, headers=ada)).json()

    problem(await rest.client.delete(f"/v1/users/zones/{zone['id']}", headers=eve), 404, "not_found")

    assert (await rest.client.get("/v1/users/zones", headers=eve)).json() == {"zones": []}
    assert len((await rest.client.get("/v1/users/zones", headers=ada)).json()["zones"]) == 1


async def test_a_rider_chooses_who_may_see(rest: Rest) -> None:
    headers = await rest.sign_in()
    assert (await rest.client.get("/v1/users/sharing", headers=headers)).json()["audience"] == "followers"
    until = rest.world.clock.epoch_ms() + 3_600_000

    body = {"audience": "public", "expires_at": until}
    chosen = await rest.client.put("/v1/users/sharing", json=body, headers=headers)

    assert chosen.json() == body | {"version": 1}
    assert (await rest.client.get("/v1/users/sharing", headers=headers)).json() == chosen.json()


async def test_audiences_to_come_and_ends_that_are_past(rest: Rest) -> None:
    headers = await rest.sign_in()
    for body, status, code, field in (
        ({"audience": "groups"}, 400, "unsupported", "audience"),
        ({"audience": "everybody"}, 422, "invalid", "audience"),
        ({"audience": "public", "expires_at": 1}, 422, "invalid", "expires_at"),
    ):
        problem(await rest.client.put("/v1/users/sharing", json=body, headers=headers), status, code, field)

    assert (await rest.client.get("/v1/users/sharing", headers=headers)).json()["version"] == 0
