"""Events, acks and attachments over either transport, in both namespaces, and what is no packet of Socket.IO."""

from collections.abc import AsyncIterator

import pytest

from tests.realtime.wire.conformance.talking import SOCKET, Message, Talker, talking
from tests.realtime.wire.conformance.test_socketio_namespaces import connected

pytestmark = pytest.mark.usefixtures("faultless")

PLACED = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
DEEP = '{"a":[{"b":{"_placeholder":true,"num":1}}]},{"_placeholder":true,"num":0}'


@pytest.fixture(params=["websocket", "polling"])
async def client(request: pytest.FixtureRequest, faultless: None) -> AsyncIterator[Talker]:
    async with talking(SOCKET) as server, server.talker(request.param) as talker:
        await connected(talker)
        yield talker


async def answers(client: Talker, *expected: Message) -> None:
    assert [await client.next() for _ in expected] == list(expected)


@pytest.mark.parametrize(
    "arguments", ['1,"2",{"3":[true]}', "null", "[],{}", '"\\u00fc – 🏍"', "1.5,-0.25,12345678901234", '""']
)
async def test_an_event_comes_back(client: Talker, arguments: str) -> None:
    await client.send(f'2["message",{arguments}]')
    await answers(client, f'2["message-back",{arguments}]'.replace("\\u00fc", "ü"))


async def test_an_event_without_arguments_comes_back(client: Talker) -> None:
    await client.send('2["message"]')
    await answers(client, '2["message-back"]')


async def test_events_come_back_in_order(client: Talker) -> None:
    await client.send(*(f'2["message",{number}]' for number in range(100)))
    await answers(client, *(f'2["message-back",{number}]' for number in range(100)))


async def test_an_event_that_nobody_handles_is_let_go(client: Talker) -> None:
    await client.send('2["nobody listens",1]', '2["message","next"]')
    await answers(client, '2["message-back","next"]')


async def test_attachments_come_back(client: Talker) -> None:
    await client.send(f'52-["message",{PLACED}]', b"\x01\x02\x03", b"\x04\x05\x06")
    await answers(client, f'52-["message-back",{PLACED}]', b"\x01\x02\x03", b"\x04\x05\x06")


async def test_attachments_come_back_from_where_they_were(client: Talker) -> None:
    """Numbered anew by the server, in the order in which they stand."""
    await client.send(f'52-["message",{DEEP}]', b"zero", b"one")
    renumbered = DEEP.replace('"num":0', '"num":2').replace('"num":1', '"num":0').replace('"num":2', '"num":1')
    await answers(client, f'52-["message-back",{renumbered}]', b"one", b"zero")


async def test_an_event_is_acknowledged(client: Talker) -> None:
    await client.send('2456["message-with-ack",1,"2",{"3":[false]}]')
    await answers(client, '3456[1,"2",{"3":[false]}]')


async def test_an_event_without_arguments_is_acknowledged(client: Talker) -> None:
    await client.send('20["message-with-ack"]')
    await answers(client, "30[]")


async def test_attachments_are_acknowledged(client: Talker) -> None:
    await client.send(f'52-789["message-with-ack",{PLACED}]', b"\x01\x02\x03", b"\x04\x05\x06")
    await answers(client, f"62-789[{PLACED}]", b"\x01\x02\x03", b"\x04\x05\x06")


async def test_a_custom_namespace_has_events_acks_and_attachments(client: Talker) -> None:
    await connected(client, "/custom,")
    await client.send('2/custom,["message",1]', '2/custom,7["message-with-ack",2]')
    await client.send('51-/custom,8["message-with-ack",{"_placeholder":true,"num":0}]', b"\x09")
    await answers(client, '2/custom,["message-back",1]', "3/custom,7[2]")
    await answers(client, '61-/custom,8[{"_placeholder":true,"num":0}]', b"\x09")


@pytest.mark.parametrize(
    "packets",
    [
        ["abc"],
        [""],
        ["7"],
        ["2"],
        ["2{}"],
        ["2[]"],
        ["2[1]"],
        ['2["message"'],
        ["2[null,1]"],
        ['2abc["message-with-ack",1,"2",{"3":[false]}]'],
        ['5["message"]'],
        ['51-["message",{"_placeholder":true,"num":1}]', b"\x01"],
        ['51-["message",{"_placeholder":true,"num":0}]', '2["message"]'],
        ['517-["message"]'],
        [b"stray"],
    ],
    ids=repr,
)
async def test_what_is_no_packet_ends_the_connection(client: Talker, packets: list[Message]) -> None:
    await client.send(*packets)
    await client.closed()
