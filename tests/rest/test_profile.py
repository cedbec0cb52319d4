"""What a rider is called: changed by the rider, under the rules of registration; the last change holds."""

import json

import pytest

from tests.rest.conftest import Rest, bearer
from tests.rest.problems import problem

PROFILE = "/v1/users/profile"


async def test_a_rider_changes_names(rest: Rest) -> None:
    rider = await rest.register(full_name="Ada")
    headers = bearer(rider)

    changed = await rest.client.put(PROFILE, json={"username": "Ada.L", "full_name": "Ada Lovelace"}, headers=headers)

    assert changed.status_code == 200
    assert (changed.json()["username"], changed.json()["full_name"]) == ("Ada.L", "Ada Lovelace")
    assert (await rest.client.get(PROFILE, headers=headers)).json() == changed.json()
    without = await rest.client.put(PROFILE, json={"username": "Ada.L"}, headers=headers)
    assert without.json()["full_name"] is None
    signed_in = await rest.client.post(
        "/v1/auth/login", json={"identifier": "ada.l", "password": "correct horse battery"}
    )
    assert signed_in.json()["user"]["username"] == "Ada.L"


async def test_a_name_that_is_taken(rest: Rest) -> None:
    eve = await rest.sign_in("eve")
    await rest.register("ada")

    answer = await rest.client.put(PROFILE, json={"username": "ADA", "full_name": "Eve"}, headers=eve)

    problem(answer, 409, "conflict", "username")
    found = (await rest.client.get(PROFILE, headers=eve)).json()
    assert (found["username"], found["full_name"]) == ("eve", None)


async def test_names_that_cannot_be(rest: Rest) -> None:
    headers = await rest.sign_in() | {"Content-Type": "application/json"}
    for changed, field in (
        ({"username": None}, "username"),
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a@b"}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": "\ud800"}, "username"),
        ({"full_name": ""}, "full_name"),
        ({"full_name": "a\0"}, "full_name"),
        ({"full_name": "x" * 201}, "full_name"),
        ({"full_name": 7}, "full_name"),
        ({"email": "new@example.org"}, "email"),
        ({"role": "admin"}, "role"),
    ):
        body = json.dumps({"username": "ada"} | changed)
        answer = await rest.client.put(PROFILE, content=body, headers=headers)
        problem(answer, 422, "invalid", field)
    problem(await rest.client.put(PROFILE, json={"full_name": "x"}, headers=headers), 422, "invalid", "username")


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH"])
async def test_a_refused_method_learns_of_all_that_are_not(rest: Rest, method: str) -> None:
    answer = await rest.client.request(method, PROFILE)

    problem(answer, 405, "unsupported")
    assert answer.headers["allow"] == "GET, PUT"
