"""Frames come out of any split of any bytes as from the `websockets` library's own parser, in bounded memory."""

import asyncio
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from realtime.wire.frames import BINARY, CLOSE, MORE, PONG, TEXT, FrameFault, FrameReader, close_status
from realtime.wire.options import WireOptions
from tests.realtime.serving import Recorder, StalledClient, handshake, masked, serving
from tests.support.waiting import eventually

MOST = 200
HEADER = 14
"""Bytes before a frame's payload, at most."""

Outcome: TypeAlias = tuple[list[tuple[int, bytes]], int | None]
"""The messages and control frames, and the status of the fault, if there was one."""


def client_frame(first: int, data: bytes, *, mask: bytes | None = b"\0\0\0\0", width: int = 0) -> bytes:
    """Any frame: `width` is that of the length field (0, 2 or 8 bytes), wider than needed or not."""
    width = max(width, 0 if len(data) < 126 else 2 if len(data) < 1 << 16 else 8)
    length = bytes(((0x80 if mask is not None else 0) | {0: len(data), 2: 126, 8: 127}[width],))
    header = bytes((first,)) + length + (len(data).to_bytes(width, "big") if width else b"")
    if mask is None:
        return header + data
    return header + mask + bytes(byte ^ key for byte, key in zip(data, itertools.cycle(mask), strict=False))


def deflate_extension() -> list[Extension]:
    return [PerMessageDeflate(True, True, 15, 15)]


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def ours(chunks: Iterable[bytes], extensions: list[Extension]) -> Outcome:
    reader = FrameReader(MOST, extensions)
    messages: list[tuple[int, bytes]] = []
    try:
        for chunk in chunks:
            if (text := reader.whole(chunk)) is not None:
                messages.append((TEXT, text))
                continue
            reader.feed(chunk)
            while (message := reader.next()) is not None:
                if message[0] == CLOSE:
                    close_status(message[1])
                    return [*messages, message], None
                if message[0] != MORE:
                    messages.append(message)
            assert reader.held <= MOST + HEADER
    except FrameFault as fault:
        return messages, fault.status
    return messages, None


def library(data: bytes, extensions: list[Extension]) -> Outcome:
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=MOST)
    protocol.extensions = extensions
    protocol.receive_data(data)
    messages = list(whole_messages(event for event in protocol.events_received() if isinstance(event, Frame)))
    if protocol.parser_exc is None:
        return messages, None
    assert protocol.close_sent is not None
    return messages, int(protocol.close_sent.code)


def whole_messages(frames: Iterable[Frame]) -> Iterator[tuple[int, bytes]]:
    opcode, parts = 0, b""
    for frame in frames:
        if frame.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            yield int(frame.opcode), bytes(frame.data)
            continue
        opcode = int(frame.opcode) or opcode
        parts += frame.data
        if frame.fin:
            yield opcode, parts
            parts = b""


def split(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The bytes in chunks of these sizes, again and again."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


MASKS = st.binary(min_size=4, max_size=4)
WIDTHS = st.sampled_from([0, 0, 0, 2, 8])
PAYLOADS = st.binary(max_size=140) | st.sampled_from([b"", b"\xff", "é😀".encode(), b"x" * MOST])
OVER = st.sampled_from([b"x" * (MOST + 1), b"x" * 70_000])
CLOSES = st.builds(
    lambda status, reason: status.to_bytes(2, "big") + reason,
    st.sampled_from([999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 1016, 3000, 4999, 5000, 65535]),
    st.sampled_from([b"", b"bye", "é".encode(), b"\xc3", b"\xff"]),
)
PLAIN_CONTROLS = st.builds(client_frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=20), mask=MASKS)
CONTROLS = st.builds(client_frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=20), mask=MASKS, width=WIDTHS)
WHOLE = st.builds(client_frame, st.sampled_from([0x81, 0x82]), PAYLOADS, mask=MASKS, width=WIDTHS)
CLOSE_FRAMES = st.builds(client_frame, st.just(0x88), CLOSES | st.binary(max_size=1), mask=MASKS)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in fragments, with control frames between them; compressed, where the reader may like that or not."""
    data = draw(st.binary(max_size=MOST) | st.sampled_from([b"", b"0" * 20_000]))
    compressed = draw(st.booleans())
    cuts = sorted(draw(st.lists(st.integers(0, 60), max_size=4)))
    payload = deflated(data) if compressed else data
    parts = [payload[begin:end] for begin, end in itertools.pairwise([0, *cuts, len(payload)])]
    frames = []
    for number, part in enumerate(parts):
        final = 0x80 if number == len(parts) - 1 else 0
        opcode = 0x00 if number else draw(st.sampled_from([TEXT, BINARY])) | (0x40 if compressed else 0)
        frames.append(client_frame(final | opcode, part, mask=draw(MASKS)))
        if draw(st.booleans()):
            frames.append(draw(CONTROLS))
    return b"".join(frames)


ODD = st.one_of(
    st.builds(client_frame, st.integers(0, 255), PAYLOADS | OVER, mask=MASKS | st.none(), width=WIDTHS),
    st.builds(client_frame, st.sampled_from([0x88, 0x89, 0x8A, 0x09]), st.binary(min_size=120, max_size=300)),
    st.builds(client_frame, st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80]), OVER, mask=MASKS, width=WIDTHS),
    st.binary(max_size=20),
    CLOSE_FRAMES,
)
STREAMS = st.lists(st.one_of(WHOLE, WHOLE, CONTROLS, fragmented(), ODD), max_size=8).map(b"".join)
SIZES = st.lists(st.integers(1, 40) | st.sampled_from([1, 5000, 100_000]), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None)
@example(data=client_frame(0x89, b"x" * 126), sizes=[1], compression=False)
@example(data=client_frame(0x88, b"x" * 300), sizes=[3], compression=False)
@example(data=client_frame(0x81, b"hi", width=8) * 2, sizes=[7], compression=False)
@example(data=client_frame(0x88, b"\x03"), sizes=[100], compression=False)
@example(data=client_frame(0x01, b"h") + client_frame(0x88, b"\x03\xe8"), sizes=[100], compression=False)
@example(data=client_frame(0xC1, deflated(b"0" * 100_000)), sizes=[10], compression=True)
@example(data=client_frame(0xC1, b"no deflate"), sizes=[10], compression=True)
@given(data=STREAMS, sizes=SIZES, compression=st.booleans())
def test_any_split_of_any_bytes_is_read_as_the_library_reads_it(
    data: bytes, sizes: list[int], compression: bool
) -> None:
    theirs = library(data, deflate_extension() if compression else [])
    assert ours(split(data, sizes), deflate_extension() if compression else []) == theirs


@settings(max_examples=100, deadline=None)
@given(data=st.lists(WHOLE | PLAIN_CONTROLS, max_size=8).map(b"".join), sizes=SIZES)
def test_what_nearly_every_frame_is_never_needs_the_library(data: bytes, sizes: list[int]) -> None:
    reader = FrameReader(MOST)
    messages = []
    for chunk in split(data, sizes):
        reader.feed(chunk)
        messages += iter(reader.next, None)
    assert reader._library is None
    assert (messages, None) == library(data, [])
    assert reader.held == 0
    assert not reader._data


def peak_bytes(chunks: Iterable[bytes], most_bytes: int, extensions: list[Extension]) -> int:
    """The most memory while this is read; the chunks are made one at a time."""
    reader = FrameReader(most_bytes, extensions)
    tracemalloc.start()
    try:
        for chunk in chunks:
            reader.feed(chunk)
            while reader.next() is not None:
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


FRAME_BYTES = 1 << 15
READ = 1 << 16


def test_a_message_in_endless_empty_fragments_is_held_in_no_memory() -> None:
    chunks = itertools.chain([masked(b"4", 0x01)], (masked(b"", 0x00) * (READ // 6) for _ in range(3)))
    assert peak_bytes(chunks, FRAME_BYTES, []) < 6 * READ


def test_a_message_in_the_smallest_fragments_costs_what_its_bytes_cost() -> None:
    tiny = masked(b"xx", 0x00)
    chunks = [masked(b"4", 0x01)] + [tiny * 1000] * (FRAME_BYTES // 2000)
    assert peak_bytes(chunks, FRAME_BYTES, []) < 4 * FRAME_BYTES + 6 * READ


def test_compressed_messages_of_one_read_are_not_all_opened_at_once() -> None:
    bomb = client_frame(0xC2, deflated(bytes(FRAME_BYTES)))
    chunk = bomb * (READ // len(bomb))
    assert len(chunk) // len(bomb) * FRAME_BYTES > 20 << 20
    assert peak_bytes([chunk], FRAME_BYTES, deflate_extension()) < 6 << 20


def test_many_empty_fragments_are_looked_at_in_turns() -> None:
    reader = FrameReader(FRAME_BYTES)
    reader.feed(masked(b"4", 0x01) + masked(b"", 0x00) * 10_000)
    turns = list(iter(reader.next, None))
    assert turns == [(MORE, b"")] * len(turns)
    assert len(turns) > 10


@pytest.mark.usefixtures("faultless")
async def test_compressed_messages_come_out_right() -> None:
    endpoint = Recorder()
    async with serving(endpoint, WireOptions(compression=True)) as up, up.signed_in() as client:
        assert client.websocket.response is not None
        negotiated = client.websocket.response.headers["Sec-WebSocket-Extensions"]
        assert negotiated.startswith("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        for number, text in enumerate(["", "é" * 100, "x" * 200_000]):
            await client.emit("echo", text, number)
            assert await client.ack(number) == text
        await client.websocket.send(["42", '4["ec', 'ho",', "[1]]"])  # in fragments, compressed as one message
        assert await client.ack(4) == [1]
        await client.websocket.ping()
        await client.send('451-5["echo",{"_placeholder":true,"num":0}]', bytes(1000))
        assert await client.ack(5) == "binary"
        assert not endpoint.faults


@pytest.mark.usefixtures("faultless")
async def test_a_message_that_is_too_large_when_opened_closes_with_1009() -> None:
    endpoint = Recorder()
    options = WireOptions(compression=True, frame_bytes=100_000)
    async with serving(endpoint, options) as up, up.signed_in() as client:
        await client.send("4" + "0" * 1_000_000)
        assert await client.closed() == 1009
        assert (await eventually(lambda: endpoint.ends))[0][1] == "parse error"


@pytest.mark.usefixtures("faultless")
async def test_compression_is_not_negotiated_unless_the_options_say_so() -> None:
    async with serving(Recorder()) as up, up.signed_in() as client:
        assert client.websocket.response is not None
        assert "Sec-WebSocket-Extensions" not in client.websocket.response.headers
        async with StalledClient.open(up.port) as stalled:
            stalled.write(client_frame(0xC1, deflated(b'42["x"]')))
            assert b"\x88\x02\x03\xea" in await stalled.read_to_end()


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
        ),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; nonsense, permessage-deflate; client_max_window_bits=99", None),
        (
            "permessage-deflate; nonsense, permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ],
)
async def test_the_first_offer_that_can_be_met_is_taken(offer: str, answer: str | None) -> None:
    head = await head_of_answer(offer)
    assert head.startswith("HTTP/1.1 101 ")
    told = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Extensions")]
    assert told == ([] if answer is None else [answer])


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize("offer", [";", "permessage-deflate;", 'permessage-deflate; x="', "=1", "a b"])
async def test_an_offer_that_cannot_be_read_is_a_bad_request(offer: str) -> None:
    head = await head_of_answer(offer)
    assert head.startswith("HTTP/1.1 400 "), head
    assert json.loads(head.partition("\r\n\r\n")[2])["code"] == 3


async def head_of_answer(offer: str) -> str:
    async with serving(Recorder(), WireOptions(compression=True)) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(handshake(up.port, headers=f"Sec-WebSocket-Extensions: {offer}\r\n"))
        data = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        if data.startswith(b"HTTP/1.1 4"):
            data += await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: up.wire.connections == 0)
        return data.decode()


def test_a_pong_is_read_like_any_other_control_frame() -> None:
    assert ours([masked(b"", 0x8A)], []) == ([(PONG, b"")], None)
