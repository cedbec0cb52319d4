"""How often REST may be asked, counted over all nodes, and what happens while Redis is away."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from rest.limits import REDIS_TIMEOUT_SECONDS, LimitOptions
from server.stack import RedisServer
from tests.rest.conftest import Rest, RestFactory, bearer, rest_on
from tests.rest.problems import problem
from tests.support import eventually

WRONG = {"identifier": "ada", "password": "a wrong one"}


async def login(client: httpx.AsyncClient, name: str = "ada") -> httpx.Response:
    return await client.post("/v1/auth/login", json=WRONG | {"identifier": name})


async def test_five_sign_ins_a_minute_for_an_account_from_an_address(limited_rest: RestFactory) -> None:
    rest = await limited_rest(LimitOptions())
    for left in (4, 3, 2, 1, 0):
        answer = await login(rest.client)
        problem(answer, 401, "unauthenticated")
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("5", str(left))

    refused = problem(await login(rest.client), 429, "rate_limited")

    assert 0 < refused["retry_after_ms"] <= 60_000
    problem(await login(rest.client, "ADA"), 429, "rate_limited")  # the same account
    problem(await login(rest.client, "bob"), 401, "unauthenticated")
    async with rest.at("192.0.2.99") as elsewhere:
        problem(await login(elsewhere), 401, "unauthenticated")


async def test_an_address_has_a_limit_whatever_accounts_it_tries(limited_rest: RestFactory) -> None:
    rest = await limited_rest(LimitOptions(public_per_window=10))
    for number in range(10):
        problem(await login(rest.client, f"rider{number}"), 401, "unauthenticated")

    assert problem(await login(rest.client, "another"), 429, "rate_limited")["retry_after_ms"] <= 900_000
    problem(await rest.client.get("/v1/users/profile", headers={"Authorization": "Bearer x"}), 429, "rate_limited")


async def test_one_ipv6_network_is_one_address(limited_rest: RestFactory) -> None:
    rest = await limited_rest(LimitOptions(public_per_window=3))
    for host in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"):
        async with rest.at(host) as client:
            problem(await login(client, host.replace(":", "")), 401, "unauthenticated")

    async with rest.at("2001:db8::dead:beef") as client:
        problem(await login(client, "x"), 429, "rate_limited")
    async with rest.at("2001:db8:0:1::1") as client:
        problem(await login(client, "y"), 401, "unauthenticated")


async def test_a_signed_in_rider_is_counted_by_account_on_all_nodes(limited_rest: RestFactory) -> None:
    options = LimitOptions(signed_in_per_window=4)
    one, other = await limited_rest(options), await limited_rest(options)
    signed_in, bob = await one.register("ada"), await one.register("bob")
    nodes = (one, other, one, other)

    left = [await remaining(rest, bearer(signed_in)) for rest in nodes]

    assert left == ["3", "2", "1", "0"]
    for rest in nodes:
        answer = await rest.client.get("/v1/users/profile", headers=bearer(signed_in))
        problem(answer, 429, "rate_limited")
    assert await remaining(other, bearer(bob)) == "3"


async def remaining(rest: Rest, headers: dict[str, str]) -> str:
    answer = await rest.client.get("/v1/users/profile", headers=headers)
    assert answer.status_code == 200
    left: str = answer.headers["ratelimit-remaining"]
    return left


@pytest.fixture
async def on_own_redis(database_url: str, own_redis: RedisServer) -> AsyncIterator[Rest]:
    options = LimitOptions(public_per_window=50)
    async with rest_on(database_url, own_redis.url, options, redis_seconds=REDIS_TIMEOUT_SECONDS) as rest:
        yield rest


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_without_redis_each_node_counts_for_itself(
    on_own_redis: Rest, own_redis: RedisServer, fault: str
) -> None:
    rest = on_own_redis
    headers = await rest.sign_in()
    getattr(own_redis, fault)()

    with structlog.testing.capture_logs() as logs:
        codes = [(await login(rest.client)).status_code for _ in range(7)]
        assert (await rest.client.get("/v1/users/profile", headers=headers)).status_code == 200

    assert codes == [401] * 5 + [429] * 2
    assert [each["event"] for each in logs].count("rate_limits_local") <= 1  # one of them waited for Redis
    own_redis.resume()
    own_redis.start()

    async def counts_in_redis_again() -> bool:
        await rest.world.clock.turn(10)
        return (await login(rest.client)).status_code == 401  # which heard of none

    await eventually(counts_in_redis_again)
