"""What leaves, in both formats: the official parsers read the same from either."""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.binary import BadPlaceholder
from realtime.wire.packets import (
    Format,
    Lane,
    Packet,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
    encode_plain,
    engine_packet,
)
from tests.realtime.wire.official import UNHURRIED, Message, OfficialParsers, messages_of
from tests.realtime.wire.values import ACK_IDS, BINARY_VALUES, EVENT_NAMES, JSON_VALUES, NAMESPACES

BOTH = tuple(Format)


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialParsers]:
    parsers = OfficialParsers()
    yield parsers
    parsers.close()


def for_parser(packet: Packet, form: Format) -> list[Message]:
    """The messages, without the Engine.IO type of texts."""
    return [message[1:] if isinstance(message, str) else message for message in messages_of(packet.frames(form))]


def read(official: OfficialParsers, packet: Packet) -> list[dict[str, Any] | None]:
    packets = [official.decode(form, for_parser(packet, form)) for form in BOTH]
    for read_packet in packets:
        if read_packet is not None:
            read_packet.pop("attachments", None)
    return packets


@UNHURRIED
@given(name=EVENT_NAMES, arguments=st.lists(JSON_VALUES, max_size=3), namespace=NAMESPACES, ack_id=ACK_IDS)
def test_events_are_the_same_to_both_official_parsers(
    official: OfficialParsers, name: str, arguments: list[Any], namespace: str, ack_id: int | None
) -> None:
    packet = encode_event(name, *arguments, namespace=namespace, ack_id=ack_id)
    expected = {"type": 2, "nsp": namespace, "data": [name, *arguments]} | ({} if ack_id is None else {"id": ack_id})
    assert read(official, packet) == [expected, expected]


@given(name=EVENT_NAMES, argument=JSON_VALUES | st.sampled_from([100, 200, 70_000]).map("x".__mul__))
def test_a_plain_event_is_no_different(name: str, argument: object) -> None:
    plain, general = encode_plain(name, argument), encode_event(name, argument)
    assert (plain.plain, plain.lane, plain.carried()) == (True, general.lane, general.carried())
    assert [plain.frames(form) for form in Format] == [general.frames(form) for form in Format]
    assert general.plain
    assert not encode_event(name, argument, lane=Lane.LIVE).plain
    assert not encode_event(name, argument, ack_id=1).plain


@UNHURRIED
@given(values=st.lists(BINARY_VALUES, max_size=3), namespace=NAMESPACES, ack_id=st.integers(0, 10**15))
def test_binary_values_are_the_same_to_both_official_parsers(
    official: OfficialParsers, values: list[Any], namespace: str, ack_id: int
) -> None:
    event = encode_event("x", *values, namespace=namespace, binary=True)
    assert read(official, event) == [{"type": 2, "nsp": namespace, "data": ["x", *values]}] * 2
    ack = encode_ack(ack_id, *values, namespace=namespace, binary=True)
    assert read(official, ack) == [{"type": 3, "nsp": namespace, "data": values, "id": ack_id}] * 2


@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_comings_and_goings_are_read_by_both_official_parsers(official: OfficialParsers, namespace: str) -> None:
    refusal = {"message": "no", "data": {"code": "unauthenticated"}}
    for packet, expected in (
        (encode_connect("s1", namespace), {"type": 0, "data": {"sid": "s1"}}),
        (encode_connect_error(refusal, namespace), {"type": 4, "data": refusal}),
        (encode_disconnect(namespace), {"type": 1}),
        (encode_ack(7, namespace=namespace), {"type": 3, "data": [], "id": 7}),
    ):
        assert read(official, packet) == [expected | {"nsp": namespace}] * 2


class Colour(Enum):
    RED = "red"


class Everything(msgspec.Struct):
    ride: UUID = UUID(int=5)
    at: datetime = datetime(2026, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)
    day: date = date(2026, 5, 1)
    colour: Colour = Colour.RED
    price: Decimal = Decimal("1.20")
    speed: float = float("nan")
    heading: float = 46.0
    seen: dict[int, set[int]] = msgspec.field(default_factory=lambda: {1: {2}})
    ready: msgspec.Raw = msgspec.Raw(b'{"made":[before]}'.replace(b"before", b"1"))
    large: int = 2**70
    small: int = -(2**70)
    optional: int | msgspec.UnsetType = msgspec.UNSET


def test_what_json_writes_in_a_way_of_its_own_is_the_same_in_msgpack(official: OfficialParsers) -> None:
    as_json, as_msgpack = read(official, encode_event("x", Everything()))
    assert as_json == as_msgpack
    assert as_json is not None
    told = as_json["data"][1]
    assert told["ride"] == "00000000-0000-0000-0000-000000000005"
    assert told["at"] == "2026-05-01T12:30:00.250000Z"
    assert (told["colour"], told["speed"], told["seen"], told["ready"]) == ("red", None, {"1": [2]}, {"made": [1]})


def test_structs_with_binary_values_and_mutable_ones() -> None:
    class Photo(msgspec.Struct):
        data: bytes
        at: datetime

    data = bytearray(b"three")
    packet = encode_event("x", Photo(b"one", datetime(2026, 5, 1, tzinfo=UTC)), memoryview(b"two"), data, binary=True)
    data[:] = b"other"
    text, *attachments = messages_of(packet.frames(Format.JSON))
    assert attachments == [b"one", b"two", b"three"]
    assert text == (
        '453-["x",{"data":{"_placeholder":true,"num":0},"at":"2026-05-01T00:00:00Z"},'
        '{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]'
    )


def test_the_texts_of_the_protocols_own_suite() -> None:
    binary = encode_event("message-back", b"\1\2\3", b"\4\5\6", binary=True)
    placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
    assert messages_of(binary.frames(Format.JSON)) == [
        f'452-["message-back",{placeholders}]',
        b"\1\2\3",
        b"\4\5\6",
    ]
    ack = encode_ack(789, b"\1\2\3", b"\4\5\6", binary=True)
    assert messages_of(ack.frames(Format.JSON))[0] == f"462-789[{placeholders}]"
    assert messages_of(encode_ack(456, 1, "2", {"3": [False]}).frames(Format.JSON)) == ['43456[1,"2",{"3":[false]}]']
    refused = encode_connect_error({"message": "Invalid namespace"}, "/random")
    assert messages_of(refused.frames(Format.JSON)) == ['44/random,{"message":"Invalid namespace"}']


@pytest.mark.parametrize("length", [0, 100, 125, 126, 65_535, 65_536])
def test_frames_of_every_length(length: int) -> None:
    assert messages_of(engine_packet("2" * length).frames(Format.JSON)) == ["2" * length]
    packet = encode_event("x", b"b" * length, binary=True)
    assert messages_of(packet.frames(Format.JSON))[1] == b"b" * length
    (packed,) = messages_of(packet.frames(Format.MSGPACK))
    assert msgspec.msgpack.decode(packed) == {"type": 2, "data": ["x", b"b" * length], "nsp": "/"}
    for form in BOTH:
        assert packet.size(form) == len(packet.frames(form))


def test_a_packet_is_encoded_once_and_tells_what_was_said_then() -> None:
    payload = {"count": 1}
    packet = encode_event("x", payload, lane=Lane.LIVE)
    payload["count"] = 2
    (packed,) = messages_of(packet.frames(Format.MSGPACK))
    assert msgspec.msgpack.decode(packed)["data"] == ["x", {"count": 1}]
    assert packet.lane is Lane.LIVE
    for form in BOTH:
        assert packet.frames(form) is packet.frames(form)


def test_payloads_of_long_polling() -> None:
    packet = encode_event("é", b"\xff\0", "", namespace="/n", binary=True)
    text, attachment = packet.payload(Format.JSON).split("\x1e")
    assert (text, attachment) == ('451-/n,["é",{"_placeholder":true,"num":0},""]', "b/wA=")
    packed = packet.payload(Format.MSGPACK)
    assert packed[0] == "b"
    assert msgspec.msgpack.decode(b64decode(packed[1:])) == {"type": 2, "data": ["é", b"\xff\0", ""], "nsp": "/n"}
    for form in BOTH:
        assert engine_packet("3probe").payload(form) == "3probe"
        assert messages_of(engine_packet("2").frames(form)) == ["2"]


def test_bytes_that_nobody_looks_for_are_text() -> None:
    (text,) = messages_of(encode_event("x", b"abc").frames(Format.JSON))
    assert isinstance(text, str)
    assert json.loads(text[2:]) == ["x", "YWJj"]


def test_what_would_be_taken_for_an_attachment_is_refused_beside_one() -> None:
    fake = {"deep": [{"_placeholder": True, "num": 99}]}
    assert messages_of(encode_event("x", fake, binary=True).frames(Format.JSON)) == [
        '42["x",{"deep":[{"_placeholder":true,"num":99}]}]'
    ]
    with pytest.raises(BadPlaceholder):
        encode_event("x", fake, b"data", binary=True)
