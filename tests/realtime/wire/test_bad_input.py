"""Whatever arrives: an answer with a code and the connection stays, or a close as the protocol says."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime.wire.options import WireOptions
from tests.realtime.serving import Recorder, Serving, StalledClient, handshake, masked, serving
from tests.support.waiting import eventually

DEEP = 50_000


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    ("packet", "code"),
    [
        ("4", "invalid"),
        ("47", "invalid"),
        ("49", "invalid"),
        ("4x", "invalid"),
        ("4é", "invalid"),
        ("42", "invalid"),
        ("42{}", "invalid"),
        ('42"x"', "invalid"),
        ("42null", "invalid"),
        ("42[]", "invalid"),
        ("42[1]", "invalid"),
        ("42[null,{}]", "invalid"),
        ("42[{}]", "invalid"),
        ('42["x"', "invalid"),
        ('42["x",]', "invalid"),
        ('42["x",{}]]', "invalid"),
        ("42['x']", "invalid"),
        ('42["x",{"a":NaN}]', "invalid"),
        ('42["x",{"a":Infinity}]', "invalid"),
        ('42["x",{"a":-Infinity}]', "invalid"),
        ('42["x",{"a":"\\ud800"}]', "invalid"),
        ('42["\\udfff",{}]', "invalid"),
        ('42["x",{"a":01}]', "invalid"),
        ('42["x",' + "[" * DEEP, "invalid"),
        ('42["x",' + "[" * DEEP + "]" * DEEP + "]", "invalid"),
        ('42["x",' + '{"a":' * DEEP + "1" + "}" * DEEP + "]", "invalid"),
        ('42abc["x",{}]', "invalid"),
        ('42-1["x",{}]', "invalid"),
        ("42" + "1" * 17 + '["x",{}]', "invalid"),
        ("42" + "1" * 100_000 + '["x",{}]', "invalid"),
        ('42/nowhere,["x",{}]', "invalid"),
        ("42/" + "n" * 100_000, "invalid"),
        ('421-["x",{}]', "invalid"),
        ('45["x",{}]', "invalid"),
        ("450-", "invalid"),
        ('4517-["x",{}]', "too_large"),
        ('459999999999-["x",{}]', "too_large"),
        ("45" + "9" * 1000 + '-["x",{}]', "invalid"),
        ("43", "invalid"),
        ("437[]", "invalid"),
        ('437["unasked"]', "invalid"),
        ("461-7[]", "invalid"),
        ('44{"message":"no"}', "invalid"),
        ("44", "invalid"),
        (b"", "invalid"),
        (b"stray", "invalid"),
        ('42["x","' + "a" * 600_000 + '"]', "too_large"),
        ('451-["x"]', None),
    ],
)
async def test_a_packet_that_cannot_be_read_is_a_fault_and_the_connection_stays(
    packet: str | bytes, code: str | None
) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send(packet)
        if code is None:
            await client.send("42")
        await client.emit("echo", "alive", 1)
        assert await client.ack(1) == "alive"
        assert endpoint.faults[0].code.value == (code or "invalid")
        assert endpoint.faults[0].message
        assert len(endpoint.events) == 1


@pytest.mark.usefixtures("faultless")
async def test_a_fault_with_an_ack_id_is_answered_by_the_ack() -> None:
    async with serving(Recorder()) as up, up.signed_in() as client:
        await client.send('4217["x",{"a":NaN}]')
        assert await client.ack(17) == {"error": {"code": "invalid"}}
        await client.send('42018["x","' + "a" * 600_000 + '"]')
        assert await client.ack(18) == {"error": {"code": "too_large"}}
        await client.send('4599-19["x"]')
        assert await client.ack(19) == {"error": {"code": "too_large"}}


@pytest.mark.usefixtures("faultless")
async def test_binary_events_come_marked_and_attachments_are_bounded() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send(
            '452-7["x",{"a":{"_placeholder":true,"num":1},"b":{"_placeholder":true,"num":0}},2]', b"one", b"two"
        )
        assert await client.ack(7) == "binary"
        assert endpoint.events == [("x", ["binary"])]
        placed = '{"_placeholder":true,"num":'
        await client.send(f'452-7["x",{placed}0}},{placed}1}}]', b"x" * 300_000, b"x" * 300_000)
        assert await client.ack(7) == {"error": {"code": "too_large"}}
        endpoint.faults.clear()
        await client.send('451-["y"]', '428["echo","between"]')
        assert await client.ack(8) == "between"
        await client.send(b"late")
        await client.emit("echo", 1, 9)
        assert await client.ack(9) == 1
        assert [fault.code.value for fault in endpoint.faults] == ["invalid", "invalid"]


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize("frame", ["", "0", "0{}", "2", "2probe", "7", "abc", "é", "b4"])
async def test_what_is_not_engine_io_closes_with_a_protocol_error(frame: str) -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send(frame)
        assert await client.closed() == 1002
        assert [reason for _, reason in await eventually(lambda: endpoint.ends)] == ["parse error"]


@pytest.mark.usefixtures("faultless")
async def test_unasked_pongs_upgrades_and_noops_change_nothing() -> None:
    async with serving(Recorder()) as up, up.signed_in() as client:
        await client.send("3", "3probe", "5", "6", "3")
        await client.emit("echo", 1, 1)
        assert await client.ack(1) == 1


@pytest.mark.usefixtures("faultless")
async def test_a_frame_over_the_hard_limit_closes_with_1009() -> None:
    endpoint = Recorder()
    options = WireOptions(event_bytes=1000, frame_bytes=10_000)
    async with serving(endpoint, options) as up, up.signed_in() as client:
        await client.send('42["x","' + "a" * 5000 + '"]')
        await client.emit("echo", 1, 1)
        assert await client.ack(1) == 1
        assert [fault.code.value for fault in endpoint.faults] == ["too_large"]
        await client.send("4" * 20_000)
        assert await client.closed() == 1009


async def status_after(data: bytes) -> int:
    """The close status that a signed-in peer gets for these bytes."""
    endpoint = Recorder()
    async with serving(endpoint) as up, StalledClient.open(up.port) as client:
        await eventually(lambda: endpoint.opens)
        client.write(data)
        answer = await client.read_to_end()
        close = answer.index(b"\x88")
        return int(struct.unpack("!H", answer[close + 2 : close + 4])[0])


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (masked(b"hi", 0xC1), 1002),  # a reserved bit
        (masked(b"hi", 0x83), 1002),  # a reserved opcode
        (masked(b"hi", 0x80), 1002),  # a continuation of nothing
        (masked(b"4", 0x01) + masked(b"hi", 0x81), 1002),  # a message within a message
        (masked(b"hi", 0x09), 1002),  # a fragmented ping
        (masked(b"x" * 126, 0x89), 1002),  # a ping that is too long
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1009),  # a length with its highest bit set
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4), 1009),  # a terabyte is announced
        (masked(b"4\xff\xfe"), 1007),  # not UTF-8
        (masked(b"4\xed\xa0\x80"), 1007),  # a surrogate in UTF-8
        (masked(b"\x03", 0x88), 1002),  # a close status of one byte
        (masked(b"\x03\xe7", 0x88), 1002),  # a close status that may not be sent
    ],
)
async def test_what_is_not_websocket_closes_with_its_status(data: bytes, status: int) -> None:
    assert await status_after(data) == status


@pytest.mark.usefixtures("faultless")
async def test_fragments_make_one_message_and_pings_come_between() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, StalledClient.open(up.port) as client:
        client.write(masked(b'42["ec', 0x01) + masked(b"hi", 0x89) + masked(b'ho",1', 0x00) + masked(b"]", 0x80))
        await eventually(lambda: endpoint.events == [("echo", [1])])
        await client.read_until(b"\x8a\x02hi")


@pytest.mark.usefixtures("faultless")
async def test_a_message_in_endless_fragments_closes() -> None:
    endpoint = Recorder()
    async with serving(endpoint, WireOptions(frame_bytes=10_000)) as up, StalledClient.open(up.port) as client:
        await eventually(lambda: endpoint.opens)
        client.write(masked(b"4" * 1000, 0x01) + masked(b"4" * 1000, 0x00) * 20)
        assert b"\x03\xf1" in await client.read_to_end()


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    "query",
    ["EIO=3&transport=websocket", "transport=websocket", "EIO=4&transport=x", "EIO=4&transport=websocket&sid=no"],
)
async def test_a_handshake_of_another_protocol_is_refused(query: str) -> None:
    async with serving(Recorder()) as up:
        with pytest.raises(InvalidStatus):
            async with connect(f"ws://127.0.0.1:{up.port}/socket.io/?{query}", proxy=None):
                pass
        assert up.wire.connections == 0


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    "request_bytes", [handshake(1, query="EIO=4&transport=websocket&x=%ff%00é"), b"GET / HTTP/9\r\n\r\n"]
)
async def test_odd_requests_do_no_harm(request_bytes: bytes) -> None:
    async with serving(Recorder()) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request_bytes)
        assert (await asyncio.wait_for(reader.read(10), 10)).startswith(b"HTTP/1.1")
        writer.close()
        await writer.wait_closed()
        async with up.signed_in() as client:
            await client.emit("echo", 1, 1)
            assert await client.ack(1) == 1


PIECES = st.one_of(
    st.sampled_from("0123456/[],{}-?\x00\x1e😀\ud7ff"),
    st.sampled_from(["42", "45", "1-", "2-", "17-", "/a,", '"x"', "NaN", '"\\ud800"']),
    st.sampled_from(['["x",{}]', '["x",{"a":1e999}]', '{"_placeholder":true}']),
)


def as_frame(data: str | bytes) -> bytes:
    return masked(data) if isinstance(data, bytes) else masked(data.encode())


FRAMES = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=8).map(lambda parts: "42" + "".join(parts)),
    st.text(max_size=40),
    st.binary(max_size=40),
)


@pytest.fixture
async def up(faultless: None) -> AsyncIterator[Serving]:
    """One server for all examples of a test."""
    async with serving(Recorder()) as serving_all:
        yield serving_all
        assert serving_all.wire.connections == 0


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


async def assert_alive(up: Serving) -> None:
    async with up.signed_in() as client:
        await client.emit("echo", 1, 1)
        assert await client.ack(1) == 1
    await eventually(lambda: up.wire.connections == 0)


@settings(QUICK, max_examples=150)
@example(frames=["41", "42"])
@example(frames=['451-["x"]', "41", b"x"])
@given(frames=st.lists(FRAMES, max_size=6))
async def test_no_frame_brings_the_server_down(up: Serving, frames: list[str | bytes]) -> None:
    async with up.signed_in() as client:
        with suppress(ConnectionClosed):  # which the protocol wants for some of them
            await client.send(*frames)
            await client.emit("echo", "alive", 424242)
            while not (await client.frame()).startswith("43424242["):
                pass
    await assert_alive(up)


@settings(QUICK, max_examples=100)
@given(data=st.lists(st.one_of(st.binary(max_size=60), FRAMES.map(as_frame)), max_size=5))
async def test_no_bytes_bring_the_server_down(up: Serving, data: list[bytes]) -> None:
    async with StalledClient.open(up.port) as client:
        client.write(b"".join(data))
        await client.drain()
    await assert_alive(up)


@settings(QUICK, max_examples=60)
@given(body=st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=8).map(lambda parts: "".join(parts).encode())))
async def test_no_body_brings_the_server_down(up: Serving, body: bytes) -> None:
    async with httpx.AsyncClient() as http:
        sid = json.loads((await http.get(up.polling_url())).text[1:])["sid"]
        await http.post(up.polling_url(sid=sid), content="40")
        assert (await http.post(up.polling_url(sid=sid), content=body)).status_code in (200, 400)
        assert (await http.post(up.polling_url(sid=sid), content="1")).status_code in (200, 400)
    await assert_alive(up)


@pytest.mark.usefixtures("faultless")
async def test_attachments_of_a_packet_that_has_too_many_are_passed_over() -> None:
    endpoint = Recorder()
    async with serving(endpoint) as up, up.signed_in() as client:
        await client.send('4520-7["x",{"_placeholder":true,"num":0}]', *[b"part"] * 20)
        assert await client.ack(7) == {"error": {"code": "too_large"}}
        await client.emit("echo", 1, 8)
        assert await client.ack(8) == 1
        assert len(endpoint.faults) == 1
        await client.send(b"stray")
        await client.emit("echo", 1, 9)
        assert await client.ack(9) == 1
        assert len(endpoint.faults) == 2
