"""Durable streams over two real nodes: numbered events on every device, and the way back to what was missed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from server.stack import PostgresServer, RedisServer
from tests.e2e.outages import is_healthy, outage
from tests.e2e.phones import Account, Phone, phone, register, rest_client
from tests.e2e.processes import Pair, site
from tests.e2e.test_javascript_client import Way, browser
from tests.support import eventually

CHOICES = ("public", "followers", "nobody")


def own(account: Account) -> str:
    return f"user:{account.user_id}"


def told(device: Phone) -> list[dict[str, Any]]:
    """What a device was told of sharing, in order."""
    return [payload for event, payload in device.heard if event == "sharing:changed"]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_every_device_hears_a_choice_once_and_in_order(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with phone(account) as near, phone(account, pair.two.url) as far:
        assert near.ready["streams"] == far.ready["streams"]
        (standing,) = near.ready["streams"].values()
        assert standing["head"] == 0
        for audience in (CHOICES * 3)[:-1]:
            await near.share(audience)
        async with rest_client(account, pair.two.url) as app:
            answer = await app.put("/v1/users/sharing", json={"audience": CHOICES[-1]})
        assert answer.status_code == 200
        for device in (near, far):
            await eventually(lambda device=device: len(told(device)) == 9)
            assert numbers(told(device)) == list(range(1, 10))
            assert [event["audience"] for event in told(device)] == list(CHOICES * 3)
            assert all(event["stream"] == own(account) for event in told(device))
        assert told(near) == told(far)


async def test_what_was_missed_is_resumed_on_another_node(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with phone(account) as near:
        await near.share("public")
        (place,) = near.ready["streams"].values()
        position = {"epoch": place["epoch"], "seq": 1}
    async with phone(account) as near:
        for audience in CHOICES:
            await near.share(audience)
    async with phone(account, pair.two.url) as far:
        answer = await far.ask("session:resume", {"streams": {own(account): position}})
        resumed = answer["streams"][own(account)]
        assert resumed["recovered"] is True, answer
        assert [name for name, _ in resumed["events"]] == ["sharing:changed"] * 3
        assert numbers([event for _, event in resumed["events"]]) == [2, 3, 4]
        assert resumed["head"] == 4
        await far.share("public")
        await eventually(lambda: numbers(told(far)) == [5])


async def test_no_outage_costs_an_event_or_gives_one_twice(
    own_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> None:
    """Redis killed, Postgres restarted, a node killed: devices of one rider on two nodes hear every choice once."""
    with site(own_postgres.url, own_redis.url, tmp_path) as place:
        one, two = await place.nodes("one", "two")
        account = await register(one.url)
        elsewhere = replace(account, url=two.url)
        async with phone(account) as near, phone(elsewhere) as far, browser() as script:
            script.open(elsewhere, Way("msgpack", ["websocket"]), reconnectionDelay=50, reconnectionDelayMax=100)
            (standing,) = [ready["streams"][own(account)] for (ready,) in await script.hears("session:ready")]

            async def all_hear(number: int) -> None:
                await eventually(lambda: len(told(near)) == len(told(far)) == number)
                await script.hears("sharing:changed", times=number)

            await near.share("public")
            await all_hear(1)
            async with outage("kill", own_redis):
                await near.share("nobody")
                await all_hear(2)  # by the look at Postgres that the other node takes each second
            await far.share("public")
            await all_hear(3)
            async with outage("kill", own_postgres):
                refused = await near.ask("sharing:set", {"audience": "nobody"})
                assert refused["error"]["code"] == "unavailable"
                async with phone(account) as late:
                    known = late.ready["streams"][own(account)]  # this node has it in mind
                    assert known == {"epoch": standing["epoch"], "head": 3}
            await eventually(lambda: is_healthy(one), timeout=40)
            await near.share("followers")
            await all_hear(4)

            two.kill()
            await script.hears("disconnect")
            await near.share("public")
            script.open(account, Way("json", ["websocket"]), "again")
            await script.hears("session:ready", name="again")
            position = {"epoch": standing["epoch"], "seq": 4}
            answer = await script.ask("session:resume", {"streams": {own(account): position}}, "again")
            resumed = answer["streams"][own(account)]
            assert (resumed["recovered"], numbers([event for _, event in resumed["events"]])) == (True, [5])
            await near.share("nobody")
            await eventually(lambda: len(told(near)) == 6)
            assert numbers([event for (event,) in await script.hears("sharing:changed", name="again")]) == [6]
            assert numbers([event for (event,) in script.heard("sharing:changed")]) == [1, 2, 3, 4]
            assert numbers(told(near)) == [1, 2, 3, 4, 5, 6]
            assert numbers(told(far)) == [1, 2, 3, 4]
