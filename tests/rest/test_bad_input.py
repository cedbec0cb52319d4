"""Whatever is sent, the answer is a problem with a code, the field and a sentence; nothing is half-done."""

import asyncio
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.rest.conftest import Rest
from tests.rest.problems import problem
from tests.support.accounts import PASSWORD

DATA = Path(os.environ.get("THROTTLECOVE_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAUGHTY = DATA / "vectors" / "naughty" / "blns.json"

REGISTER = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
ZONE = {"name": "home", "latitude": 48.1, "longitude": 11.5, "radius_metres": 300}


async def nobody_registered(rest: Rest) -> None:
    async with rest.world.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"username": None}, "username"),
        ({"username": 7}, "username"),
        ({"username": True}, "username"),
        ({"username": ["ada"]}, "username"),
        ({"username": {"$ne": ""}}, "username"),
        ({"username": ""}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": "a\0b"}, "username"),
        ({"username": "\ud800"}, "username"),
        ({"username": "a b"}, "username"),
        ({"email": "x"}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b\0c"}, "email"),
        ({"email": "x" * 300 + "@example.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 2000}, "password"),
        ({"password": "a valid \udfff one"}, "password"),
        ({"password": 12345678}, "password"),
        ({"full_name": "a\0b"}, "full_name"),
        ({"full_name": ""}, "full_name"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "a\0b"}, "device_id"),
        ({"device_id": "x" * 201}, "device_id"),
        ({"role": "admin"}, "role"),
        ({"id": 1}, "id"),
        ({"\ud800": 1}, None),
        ({"a\0b": 1}, None),
        ({"x" * 5000: 1}, None),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_registration_that_cannot_be(rest: Rest, changed: dict[str, Any], field: str | None) -> None:
    body = json.dumps(REGISTER | changed)  # ASCII: half a surrogate pair travels as an escape

    answer = await rest.client.post("/v1/auth/register", content=body, headers={"Content-Type": "application/json"})

    assert len(problem(answer, 422, "invalid", field)["field"]) <= 100
    await nobody_registered(rest)


@pytest.mark.parametrize("missing", ["username", "email", "password"])
async def test_a_missing_field_is_named(rest: Rest, missing: str) -> None:
    body = {name: value for name, value in REGISTER.items() if name != missing}

    problem(await rest.client.post("/v1/auth/register", json=body), 422, "invalid", missing)


async def test_every_field_at_fault_is_named(rest: Rest) -> None:
    answer = await rest.client.post("/v1/auth/register", json={"username": 1, "email": 2, "shoe": 3})

    errors = problem(answer, 422, "invalid")["errors"]
    assert {each["field"] for each in errors} == {"username", "email", "password", "shoe"}
    assert all(each["message"] for each in errors)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"password": "short"}, "must have at least 8 characters"),
        ({"username": ""}, "must have at least 1 character"),
        ({"username": 7}, "must be text"),
    ],
)
async def test_what_is_wrong_with_a_field_can_be_read_after_its_name(
    rest: Rest, changed: dict[str, Any], sentence: str
) -> None:
    answer = await rest.client.post("/v1/auth/register", json=REGISTER | changed)

    assert problem(answer, 422, "invalid", *changed)["detail"] == sentence


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{",
        b"{'a': 1}",
        b'{"username": "ada",}',
        b"\xff\xfe\x00",
        b'{"username": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"username": NaN}',
        b'{"username": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b"[" * 50_000,
        b'{"username": ' + b"9" * 5_000 + b"}",
        b'{"username": 1e999}',
    ],
    ids=lambda body: ascii(body[:20]),
)
async def test_a_body_that_is_no_json_object(rest: Rest, body: bytes) -> None:
    answer = await rest.client.post("/v1/auth/register", content=body, headers={"Content-Type": "application/json"})

    problem(answer, 422, "invalid")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""])
async def test_another_content_type_is_explained(rest: Rest, media_type: str) -> None:
    answer = await rest.client.post(
        "/v1/auth/register", content=json.dumps(REGISTER), headers={"Content-Type": media_type}
    )

    assert "application/json" in problem(answer, 422, "invalid", "body")["detail"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_not_read(rest: Rest, announced: bool) -> None:
    taken = 0

    async def endless() -> Any:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 10_000

    headers = {"Content-Type": "application/json"} | ({"Content-Length": "10000000"} if announced else {})
    answer = await rest.client.post("/v1/auth/register", content=endless(), headers=headers)

    assert "100000 bytes" in problem(answer, 413, "too_large")["detail"]
    assert taken <= 12


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"latitude": "48"}, "latitude"),
        ({"latitude": True}, "latitude"),
        ({"latitude": None}, "latitude"),
        ({"latitude": 91}, "latitude"),
        ({"latitude": float("nan")}, "latitude"),
        ({"longitude": float("inf")}, "longitude"),
        ({"longitude": -181}, "longitude"),
        ({"longitude": 10**400}, "longitude"),
        ({"radius_metres": 99}, "radius_metres"),
        ({"radius_metres": -1e308}, "radius_metres"),
        ({"name": "a\0"}, "name"),
        ({"name": "\ud83d"}, "name"),
        ({"name": " "}, "name"),
        ({"hidden": 1}, "hidden"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_zone_that_cannot_be(rest: Rest, changed: dict[str, Any], field: str) -> None:
    headers = await rest.sign_in() | {"Content-Type": "application/json"}

    answer = await rest.client.post("/v1/users/zones", content=json.dumps(ZONE | changed), headers=headers)

    problem(answer, 422, "invalid", field)
    assert (await rest.client.get("/v1/users/zones", headers=headers)).json() == {"zones": []}


@pytest.mark.parametrize("zone_id", ["x", "7", "00000000-0000-7000-8000-00000000000g", "%00", "%ff", "a%2Fb"])
async def test_an_id_that_is_none(rest: Rest, zone_id: str) -> None:
    headers = await rest.sign_in()

    answer = await rest.client.delete(f"/v1/users/zones/{zone_id}", headers=headers)

    assert answer.status_code in (404, 422)
    assert answer.json()["code"] in ("not_found", "invalid")


@pytest.mark.parametrize("expires_at", ["soon", 1.5, True, -1, 2**60, 10**400, []], ids=lambda value: ascii(value)[:20])
async def test_an_end_that_cannot_be(rest: Rest, expires_at: Any) -> None:
    headers = await rest.sign_in()
    body = {"audience": "public", "expires_at": expires_at}

    problem(await rest.client.put("/v1/users/sharing", json=body, headers=headers), 422, "invalid", "expires_at")


async def test_paths_and_methods_that_are_not_there(rest: Rest) -> None:
    for path in ("/", "/v1", "/v1/auth/login/", "/v1/nothing", "/v1/%00", "/docs", "/../etc/passwd", "/é"):
        answer = await rest.client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "not_found"
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = await rest.client.request(method, "/v1/auth/login")
        problem(answer, 405, "unsupported")
        assert answer.headers["allow"] == "POST"


def naughty_strings() -> list[list[str]]:
    """The list, in groups that fit among the zones of one rider."""
    every: list[str] = json.loads(NAUGHTY.read_text())
    return [every[at : at + 16] for at in range(0, len(every), 16)]


@pytest.mark.timeout(300)
@pytest.mark.skipif(not NAUGHTY.exists(), reason="the list of naughty strings is not beside this checkout")
async def test_naughty_strings_are_kept_whole_or_refused(rest: Rest) -> None:
    for number, group in enumerate(naughty_strings()):
        headers = await rest.sign_in(f"rider{number}")
        bodies = [ZONE | {"name": naughty[:60]} for naughty in group]
        drawn = await asyncio.gather(
            *(rest.client.post("/v1/users/zones", json=body, headers=headers) for body in bodies)
        )
        for body, answer in zip(bodies, drawn, strict=True):
            if answer.status_code == 201:
                assert answer.json()["name"] == unicodedata.normalize("NFC", str(body["name"]))
            else:
                problem(answer, 422, "invalid", "name")
        kept = [answer.json() for answer in drawn if answer.status_code == 201]
        listed = (await rest.client.get("/v1/users/zones", headers=headers)).json()["zones"]
        assert sorted(listed, key=str) == sorted(kept, key=str)


@pytest.mark.timeout(300)
@pytest.mark.skipif(not NAUGHTY.exists(), reason="the list of naughty strings is not beside this checkout")
async def test_naughty_strings_sign_nobody_in(rest: Rest) -> None:
    async def offer(naughty: str) -> None:
        answers = await asyncio.gather(
            rest.client.post("/v1/auth/login", json={"identifier": naughty, "password": naughty}),
            rest.client.post("/v1/auth/register", json=REGISTER | {"username": naughty}),
        )
        assert answers[0].status_code in (401, 422), naughty
        assert answers[1].status_code in (201, 409, 422), naughty

    for group in naughty_strings():
        await asyncio.gather(*(offer(naughty) for naughty in group))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["username", "email", "password", "identifier", "device_id", "refresh_token", "full_name"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    body=JSON | st.dictionaries(FIELDS, st.text() | JSON, max_size=7),
    path=st.sampled_from(["register", "login", "refresh"]),
)
async def test_no_body_is_a_fault_of_ours(rest: Rest, body: object, path: str) -> None:
    answer = await rest.client.post(
        f"/v1/auth/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in (200, 201, 401, 409, 422), answer.text
    if answer.status_code >= 400:
        problem(answer, answer.status_code, answer.json()["code"])
