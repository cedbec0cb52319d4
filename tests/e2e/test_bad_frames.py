"""Whatever a whole node is sent: one answer with a code, and the connection stays, or a close as documented.

What one cannot read at all belongs to the wire's tests; here it meets real contracts, limits and handlers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from server.settings import Settings
from tests.e2e.phones import Account, fix, new_id, now_ms, register
from tests.e2e.processes import Node
from tests.e2e.raw import RawClient, raw_client

EXAMPLES = 60
DEEP = 20_000
TRACK = str(new_id())
EVENT_BYTES, FRAME_BYTES = Settings().event_bytes, Settings().frame_bytes


# Anything, on one socket

GOOD: dict[str, dict[str, Any]] = {
    "auth:refresh": {"token": "header.payload.signature"},
    "track:start": {"track_id": TRACK, "started_at": now_ms(), "motorcycle_id": None, "ride_id": None},
    "location:update": {"track_id": TRACK, "fix": fix(1, 46.5, 8.3, heading=90.0, battery=0.5)},
    "location:batch": {"track_id": TRACK, "fixes": [fix(2, 46.5, 8.3), fix(3, 46.5, 8.3)]},
    "track:stop": {"track_id": TRACK, "last_seq": 9, "lost": [[3, 4]]},
    "map:watch": {"bounds": [8.0, 46.0, 8.1, 46.1], "zoom": 12},
    "map:unwatch": {},
    "riders:watch": {"user_ids": [TRACK]},
    "riders:unwatch": {"user_ids": [TRACK]},
    "riders:info": {"riders": [1, 2]},
    "sharing:set": {"audience": "public", "expires_at": None},
}
"""Every event of the session and of the location, as it should be, or nearly."""

numbers = some.integers() | some.integers(-2, 2) | some.floats(allow_nan=False, allow_infinity=False)
texts = some.text(max_size=20) | some.text(some.characters(categories=["Cs", "Co", "Cc"]), max_size=3)
leaves = some.none() | some.booleans() | numbers | texts | some.sampled_from([TRACK, "public", 2**31, 2**63, -(2**70)])
anything = some.recursive(
    leaves, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts, inner, max_size=4), max_leaves=8
)


@some.composite
def half_valid(draw: some.DrawFn, good: dict[str, Any]) -> dict[str, Any]:
    """A good payload of which one value is another, is missing, or has company."""
    changed: dict[str, Any] = json.loads(json.dumps(good))
    place: Any = changed
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return changed
        key = draw(some.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(some.booleans()):
            break
        place = place[key]
    match draw(some.sampled_from(["other", "missing", "more"])):
        case "other":
            place[key] = draw(anything)
        case "missing":
            del place[key]
        case "more" if isinstance(place, dict):
            place[draw(texts)] = draw(anything)
    return changed


@some.composite
def calls(draw: some.DrawFn) -> tuple[str, list[Any]]:
    """An event and its arguments, mostly one."""
    event = draw(some.sampled_from([*GOOD, "location:update", "location:batch", "location:update"]))
    payload = half_valid(GOOD[event]) | half_valid(GOOD[event]) | anything
    count = draw(some.sampled_from([1, 1, 1, 1, 0, 2]))
    return event, [draw(payload) for _ in range(count)]


class Live:
    """One socket, for all examples, in a loop that outlives them."""

    def __init__(self, node: Node) -> None:
        self.runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.client = self.runner.run(self._connect(node))

    async def _connect(self, node: Node) -> RawClient:
        client = await self._stack.enter_async_context(raw_client(node, await register(node.url)))
        assert "rider" in await client.ask("track:start", {"track_id": TRACK, "started_at": now_ms()})
        return client

    def close(self) -> None:
        self.runner.run(self._stack.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def live(lone_node: Node) -> Iterator[Live]:
    socket = Live(lone_node)
    yield socket
    socket.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=some.lists(calls(), min_size=1, max_size=6))
def test_whatever_an_event_carries_it_has_one_answer_and_the_connection_stays(
    live: Live, sent: list[tuple[str, list[Any]]]
) -> None:
    live.runner.run(answered_once_each(live.client, sent))


async def answered_once_each(client: RawClient, sent: list[tuple[str, list[Any]]]) -> None:
    asked = [await client.tell(event, *map(json.dumps, arguments)) for event, arguments in sent]
    for ack_id, call in zip(asked, sent, strict=True):
        answer = await client.answer(ack_id)
        assert isinstance(answer, dict), call
        if "error" in answer:
            assert answer["error"]["code"] not in ("internal", "unavailable"), (call, answer)
            assert len(answer["error"]["message"]) > 5, (call, answer)
    good = await client.ask("location:update", {"track_id": TRACK, "fix": fix(1, 46.5, 8.3)})
    assert good == {}, sent
    assert client.open
    assert all(len(answers) == 1 for answers in client.acks.values())


# Frames that no client should send


@pytest.fixture
async def account(lone_node: Node) -> Account:
    return await register(lone_node.url)


@pytest.fixture
async def client(lone_node: Node, account: Account) -> AsyncIterator[RawClient]:
    async with raw_client(lone_node, account) as connected:
        yield connected


async def begin(client: RawClient) -> str:
    track = str(new_id())
    assert "rider" in await client.ask("track:start", {"track_id": track, "started_at": now_ms()})
    return track


def update(track: str, latitude: str) -> str:
    """A `location:update` whose latitude is written so."""
    return f'{{"track_id":"{track}","fix":{{"seq":0,"timestamp":{now_ms()},"latitude":{latitude},"longitude":8.3}}}}'


@pytest.mark.parametrize(
    ("latitude", "field"),
    [
        ("NaN", "fix.latitude"),
        ("Infinity", "fix.latitude"),
        ("-Infinity", "fix.latitude"),
        ("1e999", "fix"),
        ("046.5", "fix.latitude"),
        ("46.5,", "fix.latitude"),
        ('"46.5"', "fix.latitude"),
        ("[" * DEEP + "]" * DEEP, None),
        ('{"a":' * DEEP + "1" + "}" * DEEP, None),
    ],
    ids=["nan", "infinity", "-infinity", "1e999", "octal", "comma", "text", "arrays", "objects"],
)
async def test_numbers_that_are_none_are_invalid_and_the_next_update_is_kept(
    client: RawClient, latitude: str, field: str | None
) -> None:
    track = await begin(client)
    refused = await client.answer(await client.tell("location:update", update(track, latitude)))
    assert refused["error"]["code"] == "invalid"
    assert refused["error"].get("field") == field, refused
    assert await client.answer(await client.tell("location:update", update(track, "46.5"))) == {}


async def test_of_a_key_that_is_there_twice_the_last_counts(client: RawClient) -> None:
    track = await begin(client)
    twice = await client.answer(await client.tell("location:update", update(track, '95.0,"latitude":46.5')))
    assert twice == {}
    refused = await client.answer(await client.tell("location:update", update(track, '46.5,"latitude":95.0')))
    assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid", "fix.latitude")


async def test_binary_where_text_is_due_is_invalid(client: RawClient) -> None:
    track = await begin(client)
    asked = await client.tell("location:update", '{"_placeholder":true,"num":0}', header="451-")
    await client.send(update(track, "46.5").encode())
    refused = await client.answer(asked)
    assert refused["error"]["code"] == "invalid"
    assert "binary" in refused["error"]["message"]
    await client.send(b"nobody announced this")
    assert await client.answer(await client.tell("location:update", update(track, "46.5"))) == {}
    assert [payload["code"] for name, payload in client.events if name == "error"] == ["invalid"]


async def test_an_event_that_is_too_large_is_refused_and_a_frame_that_is_closes(client: RawClient) -> None:
    track = await begin(client)
    large = json.dumps({"track_id": track, "fixes": ["x" * EVENT_BYTES]})
    refused = await client.answer(await client.tell("location:batch", large))
    assert refused["error"]["code"] == "too_large"
    assert await client.answer(await client.tell("location:update", update(track, "46.5"))) == {}
    await client.tell("location:batch", json.dumps(["x" * FRAME_BYTES]))
    assert await client.ended() == 1009
