"""Durable streams through real sockets, a real Redis and a real database; what is lost is found within a second."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from domain.streams.rules import user_stream
from tests.realtime.gateway.streams.street import Street, resume, rider, street, words
from tests.support.waiting import eventually

quiet = pytest.mark.usefixtures("faultless")


def at(ready: dict[str, Any], stream: str, seq: int | None = None) -> dict[str, Any]:
    """A client's position: where it was told the stream stands, or another number."""
    place = ready["streams"][stream]
    return {"epoch": place["epoch"], "seq": place["head"] if seq is None else seq}


@quiet
async def test_what_no_hint_brings_is_found_by_the_next_look(database_url: str, redis_url: str) -> None:
    """A process dies between commit and publish: then the next event shows the gap, or the look of each second."""
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url, nodes=2) as town:
        one, two = town.nodes
        async with rider(one, user) as near, rider(two, user) as far:
            assert near.ready["streams"][stream]["head"] == 0
            for node in (one, two):
                await node.hears(stream)
            await one.say(stream, "a", "b")
            assert await words(near, 2) == await words(far, 2) == [(1, "a"), (2, "b")]
            assert one.gap_events == two.gap_events == 0

            await town.say_and_die(stream, "c")
            await one.time_passes(until=lambda: one.gap_events == 1)
            assert await words(near, 1) == [(3, "c")]

            await one.say(stream, "d")  # the other node hears of 4 and has not had 3
            assert await words(near, 1) == [(4, "d")]
            await two.time_passes(until=lambda: two.gap_events == 2)
            assert await words(far, 2) == [(3, "c"), (4, "d")]


@quiet
async def test_coming_back_brings_all_that_was_missed_and_nothing_twice(database_url: str, redis_url: str) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        async with rider(node, user) as client:
            await node.say(stream, *"abc")
            assert len(await words(client, 3)) == 3
        await node.say(stream, *"de")
        async with rider(node, user) as client:
            await node.say(stream, "f")
            assert await words(client, 1) == [(6, "f")]  # behind the head that it was greeted with
            answer = (await resume(client, {stream: at(client.ready, stream, 3)}))["streams"][stream]
            assert (answer["recovered"], answer["head"]) == (True, 6)
            assert [(name, event["seq"]) for name, event in answer["events"]] == [("test:word", 4), ("test:word", 5)]
            assert "read_all" not in node.postgres.reads  # memory had it
            await node.say(stream, "g")
            assert await words(client, 1) == [(7, "g")]
            # What was never heard here is read.
            early = (await resume(client, {stream: at(client.ready, stream, 0)}, 2))["streams"][stream]
            assert [event["seq"] for _, event in early["events"]] == [1, 2, 3, 4, 5]


@quiet
@pytest.mark.parametrize(
    ("change", "recovered"),
    [({"seq": 9}, False), ({"epoch": "another"}, False), ({"seq": 2}, True)],
    ids=["ahead of the head", "another epoch", "the head"],
)
async def test_continuity_that_cannot_be_proved_is_not_claimed(
    database_url: str, redis_url: str, change: dict[str, Any], recovered: bool
) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        await node.say(stream, *"ab")
        async with rider(node, user) as client:
            position = {**at(client.ready, stream), **change}
            answer = (await resume(client, {stream: position}))["streams"][stream]
            place = client.ready["streams"][stream]
            expected = {"events": []} if recovered else {"snapshot": {"said": f"all of {stream}"}}
            assert answer == {"recovered": recovered, **place, **expected}
            await node.say(stream, "c")
            assert await words(client, 1) == [(3, "c")]


@quiet
async def test_a_thousand_missed_events_are_given_and_one_more_is_not(database_url: str, redis_url: str) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        await node.say(stream, *["x"] * 1001)
        async with rider(node, user) as client:
            missed = (await resume(client, {stream: at(client.ready, stream, 1)}))["streams"][stream]
            assert [event["seq"] for _, event in missed["events"]] == list(range(2, 1002))
            lost = (await resume(client, {stream: at(client.ready, stream, 0)}, 2))["streams"][stream]
            assert (lost["recovered"], lost["head"]) == (False, 1001)
        await node.say(stream, *["y" * 2000] * 200)
        async with rider(node, user) as client:
            lost = (await resume(client, {stream: at(client.ready, stream, 1001)}))["streams"][stream]
            assert lost["recovered"] is False  # too many bytes


@quiet
async def test_who_may_hear_what_is_asked_each_time(database_url: str, redis_url: str) -> None:
    user = uuid4()
    position = {"epoch": "x", "seq": 0}
    async with street(database_url, redis_url) as town, AsyncExitStack() as stack:
        (node,) = town.nodes
        client = await stack.enter_async_context(rider(node, user))
        for number, (name, code) in enumerate(
            [
                (user_stream(uuid4()), "forbidden"),
                ("club:closed", "forbidden"),
                ("chat:none", "not_found"),
                ("nonsense", "not_found"),
            ]
        ):
            asked = {"club:open": position, name: position}
            error = (await resume(client, asked, number))["error"]
            assert (error["code"], error["field"]) == (code, f"streams.{name}")
        error = (await resume(client, {}, 8, watch={"map": {"bounds": [1, 1, 2, 2], "zoom": 9}}))["error"]
        assert (error["code"], error["field"]) == ("forbidden", "watch.map")
        assert node.cursors.get("club:open") is None
        # One that is not heard from the start is, from its resume on.
        answer = (await resume(client, {"club:open": position}, 9))["streams"]["club:open"]
        assert answer["recovered"] is False
        await node.say("club:open", "welcome")
        assert await words(client, 1) == [(1, "welcome")]


@quiet
async def test_new_epochs_tell_everybody_to_resume(database_url: str, redis_url: str) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        async with rider(node, user) as client:
            await node.say(stream, "a")
            assert await words(client, 1) == [(1, "a")]
            epoch, _ = await node.streams.renew_epochs()
            await node.time_passes(until=lambda: node.restarts == 1)
            told = await client.event("session:streams")
            assert told == {"streams": {stream: {"epoch": epoch, "head": 1}}}
            answer = (await resume(client, {stream: at(client.ready, stream, 1)}))["streams"][stream]
            assert (answer["recovered"], answer["epoch"], answer["head"]) == (False, epoch, 1)
            await node.say(stream, "b")
            assert await words(client, 1) == [(2, "b")]


@quiet
async def test_without_postgres_one_is_let_in_and_the_stream_begins_later(database_url: str, redis_url: str) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        node.postgres.gone = True
        async with rider(node, user) as client:
            assert client.ready["streams"] == {}
            error = (await resume(client, {stream: {"epoch": "x", "seq": 0}}))["error"]
            assert (error["code"], error["retry_after_ms"]) == ("unavailable", 1000)
            node.postgres.gone = False
            await node.say(stream, "a")
            await node.time_passes(until=lambda: all(cursor.placed for cursor in node.cursors))
            told = await client.event("session:streams")
            assert told["streams"][stream]["head"] == 1
            position = {"epoch": told["streams"][stream]["epoch"], "seq": 0}
            answer = (await resume(client, {stream: position}, 2))["streams"][stream]
            assert [event["word"] for _, event in answer["events"]] == ["a"]


@quiet
async def test_what_a_client_says_before_its_greeting_waits_behind_it(database_url: str, redis_url: str) -> None:
    user = uuid4()
    stream = user_stream(user)
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        gate = node.postgres.gate = asyncio.Event()
        async with node.signed.up.signed_in(node.signed.auth(user_id=user)) as client:
            await client.emit("test:plain", {"number": 1}, 1)
            await client.send("42[")  # unreadable: the answer to it waits, too
            await client.emit("session:resume", {"streams": {stream: {"epoch": "x", "seq": 0}}}, 2)
            await eventually(lambda: node.cursors.get(stream))
            gate.set()
            assert (await client.event("session:ready"))["streams"][stream]["head"] == 0
            assert await client.ack(1) == {"number": 1}
            assert (await client.event("error"))["code"] == "invalid"
            assert (await client.ack(2))["streams"][stream]["recovered"] is False


@quiet
async def test_what_is_urgent_does_not_wait_for_postgres(database_url: str, redis_url: str) -> None:
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        gate = node.postgres.gate = asyncio.Event()
        async with node.signed.up.signed_in(node.signed.auth()) as client:
            await client.emit("sos:test", {"number": 1}, 1)
            assert (await client.event("session:ready"))["streams"] == {}
            assert await client.ack(1) == {}
            gate.set()
            (begun,) = (await client.event("session:streams"))["streams"].values()
            assert begun["head"] == 0


@quiet
async def test_a_node_follows_a_stream_for_as_long_as_somebody_hears_it(database_url: str, redis_url: str) -> None:
    user = uuid4()
    async with street(database_url, redis_url) as town:
        (node,) = town.nodes
        async with rider(node, user), rider(node, user):
            assert len(node.cursors) == 1
        await eventually(lambda: not len(node.signed.gateway))
        assert await _listening(town) == 1
        async with rider(node, user):
            assert node.postgres.reads.count("heads") == 1  # it was found as it was left
        await eventually(lambda: not len(node.signed.gateway))
        await node.time_passes(until=lambda: len(node.cursors) == 0)
        assert await _listening(town) == 0


async def _listening(town: Street) -> int:
    return sum(node.hints.subscriptions for node in town.nodes)
