"""`/v1/auth` and the profile, as an app uses them."""

import jwt
import pytest

from tests.rest.conftest import Rest, bearer
from tests.rest.problems import problem
from tests.support.accounts import PASSWORD, SECRET


async def test_from_registering_to_the_profile(rest: Rest) -> None:
    signed_in = await rest.register("Ada", full_name="Ada Lovelace")

    profile = (await rest.client.get("/v1/users/profile", headers=bearer(signed_in))).json()

    assert signed_in["expires_in"] == 900
    assert signed_in["device_id"] == "phone"
    assert signed_in["user"] == {name: profile[name] for name in ("id", "rider", "username")}
    assert profile == profile | {
        "username": "Ada",
        "email": "Ada@example.org",
        "full_name": "Ada Lovelace",
        "role": "user",
        "permissions": ["read:own", "write:own", "read:public"],
        "created_at": rest.world.clock.epoch_ms(),
    }


@pytest.mark.parametrize("identifier", ["ada", "ADA@example.org"])
async def test_signing_in(rest: Rest, identifier: str) -> None:
    rider = await rest.register()

    body = {"identifier": identifier, "password": PASSWORD, "device_id": "tablet"}
    answer = await rest.client.post("/v1/auth/login", json=body)

    assert answer.status_code == 200
    assert answer.json()["user"] == rider["user"]
    assert answer.json()["session_id"] != rider["session_id"]
    assert answer.headers["cache-control"] == "no-store"


async def test_no_refusal_tells_whether_an_account_exists(rest: Rest) -> None:
    await rest.register()
    refusals = []
    for identifier in ("ada", "nobody"):
        answer = await rest.client.post("/v1/auth/login", json={"identifier": identifier, "password": "wrong one"})
        refusals.append(problem(answer, 401, "unauthenticated") | {"trace_id": ""})

    assert refusals[0] == refusals[1]


@pytest.mark.parametrize(("changed", "field"), [({"email": "x@example.org"}, "username"), ({"username": "x"}, "email")])
async def test_a_taken_name_is_named(rest: Rest, changed: dict[str, str], field: str) -> None:
    await rest.register()
    body = {"username": "ADA", "email": "ADA@example.org", "password": PASSWORD}

    problem(await rest.client.post("/v1/auth/register", json=body | changed), 409, "conflict", field)


async def test_refreshing(rest: Rest) -> None:
    first = await rest.register()
    body = {"refresh_token": first["refresh_token"], "device_id": "phone"}

    second = (await rest.client.post("/v1/auth/refresh", json=body)).json()
    lost = (await rest.client.post("/v1/auth/refresh", json=body)).json()

    assert second["refresh_token"] == lost["refresh_token"] != first["refresh_token"]
    assert (await rest.client.get("/v1/users/profile", headers=bearer(lost))).status_code == 200


async def test_a_reused_token_ends_the_session_at_once(rest: Rest) -> None:
    rider = await rest.register()
    body = {"refresh_token": rider["refresh_token"], "device_id": "thief"}

    problem(await rest.client.post("/v1/auth/refresh", json=body), 401, "unauthenticated", "refresh_token")

    problem(await rest.client.get("/v1/users/profile", headers=bearer(rider)), 401, "unauthenticated")


async def test_signing_out(rest: Rest) -> None:
    headers = await rest.sign_in()

    answer = await rest.client.post("/v1/auth/logout", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")
    problem(await rest.client.post("/v1/auth/logout", headers=headers), 401, "unauthenticated")


async def test_the_list_of_sessions(rest: Rest) -> None:
    phone = await rest.register()
    await rest.world.clock.turn(5)
    body = {"identifier": "ada", "password": PASSWORD, "device_id": "tablet"}
    async with rest.at("2001:db8::7") as elsewhere:
        tablet = (await elsewhere.post("/v1/auth/login", json=body, headers={"User-Agent": "Web/1.0"})).json()

    sessions = (await rest.client.get("/v1/auth/sessions", headers=bearer(phone))).json()["sessions"]

    assert [each["id"] for each in sessions] == [tablet["session_id"], phone["session_id"]]
    assert [each["current"] for each in sessions] == [False, True]
    assert sessions[0] == sessions[0] | {"device_id": "tablet", "ip_address": "2001:db8::7", "user_agent": "Web/1.0"}


async def test_ending_another_session(rest: Rest) -> None:
    phone, eve = await rest.register(), await rest.register("eve")
    tablet = (await rest.client.post("/v1/auth/login", json={"identifier": "ada", "password": PASSWORD})).json()
    path = f"/v1/auth/sessions/{tablet['session_id']}"

    problem(await rest.client.delete(path, headers=bearer(eve)), 404, "not_found")
    assert (await rest.client.delete(path, headers=bearer(phone))).status_code == 204
    problem(await rest.client.delete(path, headers=bearer(phone)), 404, "not_found")

    problem(await rest.client.get("/v1/users/profile", headers=bearer(tablet)), 401, "unauthenticated")
    assert (await rest.client.get("/v1/users/profile", headers=bearer(phone))).status_code == 200


async def test_a_token_that_has_ended_says_so(rest: Rest) -> None:
    headers = await rest.sign_in()
    await rest.world.clock.turn(900)

    refused = await rest.client.get("/v1/users/profile", headers=headers)

    problem(refused, 401, "token_expired")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def forged(token: str) -> dict[str, str]:
    payload = jwt.decode(token, options={"verify_signature": False})
    return {
        "no key of ours": jwt.encode(payload, "x" * 40, "HS256", headers={"kid": "test"}),
        "an unknown key": jwt.encode(payload, SECRET, "HS256", headers={"kid": "other"}),
        "no key id": jwt.encode(payload, SECRET, "HS256"),
        "no algorithm": jwt.encode(payload, None, "none", headers={"kid": "test"}),
        "for somebody else": jwt.encode(payload | {"aud": "x"}, SECRET, "HS256", headers={"kid": "test"}),
        "cut off": token[:-3],
        "nothing": "",
        "noise": "x.y.z",
    }


async def test_forged_tokens_are_refused(rest: Rest) -> None:
    signed_in = await rest.register()
    for name, token in forged(signed_in["access_token"]).items():
        answer = await rest.client.get("/v1/users/profile", headers={"Authorization": f"Bearer {token}"})
        assert problem(answer, 401, "unauthenticated"), name


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "bearer\tx", "Bearer é", "x" * 9000])
async def test_a_missing_token_is_asked_for(rest: Rest, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}

    problem(await rest.client.get("/v1/users/profile", headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/auth/logout"),
        ("GET", "/v1/auth/sessions"),
        ("DELETE", "/v1/auth/sessions/00000000-0000-7000-8000-000000000000"),
        ("GET", "/v1/users/profile"),
        ("GET", "/v1/users/zones"),
        ("POST", "/v1/users/zones"),
        ("DELETE", "/v1/users/zones/00000000-0000-7000-8000-000000000000"),
        ("GET", "/v1/users/sharing"),
        ("PUT", "/v1/users/sharing"),
    ],
)
async def test_everything_personal_asks_who_it_is(rest: Rest, method: str, path: str) -> None:
    body = {"json": {"audience": "public"}} if method == "PUT" else {}
    if method == "POST" and path.endswith("zones"):
        body = {"json": {"name": "x", "latitude": 1, "longitude": 2, "radius_metres": 300}}

    problem(await rest.client.request(method, path, **body), 401, "unauthenticated")
