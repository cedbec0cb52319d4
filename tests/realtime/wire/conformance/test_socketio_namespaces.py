"""CONNECT and DISCONNECT of namespaces over either transport: answers first, refusals, and who never connects."""

import json

import pytest

from tests.realtime.wire.conformance.talking import SOCKET, Talker, talking

pytestmark = [pytest.mark.usefixtures("faultless"), pytest.mark.parametrize("transport", ["websocket", "polling"])]


async def connected(client: Talker, prefix: str = "", auth: str = "") -> str:
    """CONNECT and check both answers; the id."""
    await client.send(f"0{prefix}{auth}")
    answer = await client.next()
    assert isinstance(answer, str)
    assert answer.startswith(f"0{prefix}")
    body = json.loads(answer.removeprefix(f"0{prefix}"))
    assert list(body) == ["sid"]
    assert await client.next() == f'2{prefix}["auth",{auth or "{}"}]'
    sid: str = body["sid"]
    return sid


@pytest.mark.parametrize("auth", ["", '{"token":"123"}'])
@pytest.mark.parametrize("prefix", ["", "/custom,"])
async def test_connect_is_answered_before_anything_else(transport: str, prefix: str, auth: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        assert await connected(client, prefix, auth)


async def test_the_comma_may_be_left_out(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await client.send("0/custom")
        assert str(await client.next()).startswith('0/custom,{"sid":"')


async def test_each_namespace_has_an_id_of_its_own(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        assert await connected(client) != await connected(client, "/custom,")


@pytest.mark.parametrize("connect", ["0/random", "0/random,", '0/random,{"token":"123"}'])
async def test_an_unknown_namespace_is_refused(transport: str, connect: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await client.send(connect)
        assert await client.next() == '4/random,{"message":"Invalid namespace"}'
        await connected(client)


async def test_what_is_no_connect_ends_the_connection(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await client.send("abc")
        await client.closed()


async def test_an_event_before_the_connect_ends_the_connection(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await client.send('2["message","early"]')
        await client.closed()


async def test_who_never_connects_is_closed(transport: str) -> None:
    async with talking(SOCKET, connect_within_seconds=0.1) as server, server.talker(transport) as client:
        await client.closed()


async def test_a_namespace_is_left_and_the_connection_stays(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await connected(client)
        await client.send("1")
        await connected(client)


async def test_leaving_one_namespace_leaves_the_other(transport: str) -> None:
    async with talking(SOCKET) as server, server.talker(transport) as client:
        await connected(client)
        await connected(client, "/custom,")
        await client.send("1/custom,", '2["message","to the main one"]')
        assert await client.next() == '2["message-back","to the main one"]'
        await connected(client, "/custom,")
        await client.send("1", '2/custom,["message","to the custom one"]')
        assert await client.next() == '2/custom,["message-back","to the custom one"]'
