"""Packets in msgpack, as the official JavaScript writes them and as nobody should."""

import json
import struct
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.header import DEEPEST, MOST_ACK_ID
from realtime.wire.packets import Arguments, Format, PayloadDecoder, encode_event
from realtime.wire.parser import (
    Kind,
    Malformed,
    parse_ack,
    parse_auth,
    parse_event,
    parse_header,
    unpack_header,
)
from tests.realtime.wire.official import UNHURRIED, OfficialParsers, messages_of
from tests.realtime.wire.values import ACK_IDS, BINARY_VALUES, EVENT_NAMES, JSON_VALUES, NAMESPACES

MOST = 1 << 20
pack = msgspec.msgpack.encode


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialParsers]:
    parsers = OfficialParsers()
    yield parsers
    parsers.close()


def as_values(official: OfficialParsers, form: Format, data: list[Any]) -> Arguments:
    """The arguments of an event that the official parser wrote."""
    first, *parts = official.encode(form, {"type": 2, "nsp": "/", "data": ["x", *data]})
    header = parse_header(first) if isinstance(first, str) else unpack_header(first)
    return parse_event(header, MOST, [part for part in parts if isinstance(part, bytes)])[1]


@UNHURRIED
@given(name=EVENT_NAMES, arguments=st.lists(BINARY_VALUES, max_size=3), namespace=NAMESPACES, ack_id=ACK_IDS)
def test_events_of_the_official_parser_are_read(
    official: OfficialParsers, name: str, arguments: list[Any], namespace: str, ack_id: int | None
) -> None:
    packet = {"type": 2, "data": [name, *arguments], "options": {"compress": True}, "nsp": namespace}
    (message,) = official.encode(Format.MSGPACK, packet if ack_id is None else packet | {"id": ack_id})
    assert isinstance(message, bytes)
    header = unpack_header(message)
    assert (header.kind, header.namespace, header.ack_id, header.attachments) == (Kind.EVENT, namespace, ack_id, 0)
    got, values = parse_event(header, MOST)
    assert (got, values.values()) == (name, arguments)
    assert values.binary == (official_type_of(official, packet) == "5")
    assert len(values) == len(arguments)
    assert values.size == len(header.body)


def official_type_of(official: OfficialParsers, packet: dict[str, Any]) -> str:
    """The type that the packet has as JSON: 5 when something in it is binary."""
    return str(official.encode(Format.JSON, packet)[0])[0]


@pytest.mark.parametrize(
    "value",
    [
        {"$undefined": True},
        [1, {"$undefined": True}, 3],
        {"gone": {"$undefined": True}, "here": None},
        {"$nan": True},
        {"speed": {"$nan": True}},
        {"$date": 1_777_000_000_123},
        {"at": {"$date": -1}, "long ago": {"$date": -40_000_000_000_001}},
        {"$buffer": "AA=="},
        {"$buffer": "AAAAAAAAAAA="},
        [{"$buffer": "AAEC"}, {"$bytes": "AAEC"}, {"$buffer": ""}],
    ],
)
def test_values_of_javascript_are_what_json_makes_of_them(official: OfficialParsers, value: Any) -> None:
    as_msgpack, as_json = (as_values(official, form, [value]) for form in (Format.MSGPACK, Format.JSON))
    assert as_msgpack.values() == as_json.values()
    assert as_msgpack.binary == as_json.binary


def test_an_array_buffer_that_might_be_a_date_is_refused(official: OfficialParsers) -> None:
    with pytest.raises(Malformed, match="cannot be told"):
        as_values(official, Format.MSGPACK, [{"$date": 5}, {"$buffer": "AAAAAAAAAAA="}])


def test_acks_and_auth_of_the_official_parser_are_read(official: OfficialParsers) -> None:
    def read(packet: dict[str, Any]) -> Any:
        (message,) = official.encode(Format.MSGPACK, packet | {"nsp": "/"})
        assert isinstance(message, bytes)
        return unpack_header(message)

    ack = read({"type": 3, "id": 7, "data": [{"$bytes": "AA=="}, "b"]})
    assert (ack.kind, ack.ack_id) == (Kind.ACK, 7)
    answers = parse_ack(ack, 100)
    assert (answers.values(), answers.binary) == ([b"\0", "b"], True)
    assert parse_auth(read({"type": 0, "data": {"token": "t"}}), 100).values() == [{"token": "t"}]
    for empty in ({"type": 0}, {"type": 0, "data": {"$undefined": True}}):
        assert len(parse_auth(read(empty), 100)) == 0
    assert read({"type": 1}).kind is Kind.DISCONNECT
    assert read({"type": 4, "data": {"message": "no"}}).kind is Kind.CONNECT_ERROR


class Colour(Enum):
    RED = "red"


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ride: UUID
    at: datetime
    latitude: float
    count: int
    colour: Colour = Colour.RED
    speed: float | None = None
    tags: dict[int, bool] = msgspec.field(default_factory=dict)


FIX = PayloadDecoder(Fix)
GOOD = {"ride": str(UUID(int=1)), "at": "2026-05-01T12:00:00Z", "latitude": 46, "count": 3, "tags": {"1": True}}
ODD = JSON_VALUES | st.sampled_from(
    [GOOD["ride"], GOOD["at"], "red", "1", "1.5", 1.0, 1777000000, {"1": True}, {"x": True}, [], {}]
)


@given(
    payload=st.fixed_dictionaries(
        {name: st.just(value) | ODD for name, value in GOOD.items()},
        optional={"colour": ODD, "speed": ODD, "unknown": ODD},
    )
    | JSON_VALUES
)
def test_contracts_are_equally_strict_in_both_formats(payload: Any) -> None:
    packet = encode_event("x", payload)
    text = messages_of(packet.frames(Format.JSON))[0]
    message = messages_of(packet.frames(Format.MSGPACK))[0]
    assert isinstance(text, str)
    assert isinstance(message, bytes)
    told = []
    for header in (parse_header(text[1:]), unpack_header(message)):
        try:
            told.append(parse_event(header, MOST)[1].decode(FIX))
        except msgspec.ValidationError as error:
            told.append(str(error))
    assert told[0] == told[1]


def test_a_good_payload_is_decoded_from_both_formats() -> None:
    packet = encode_event("x", GOOD)
    message = messages_of(packet.frames(Format.MSGPACK))[0]
    assert isinstance(message, bytes)
    fix = parse_event(unpack_header(message), MOST)[1].decode(FIX)
    assert (fix.ride, fix.latitude, fix.tags) == (UUID(int=1), 46.0, {1: True})


def packet_of(**changes: Any) -> bytes:
    return pack({"type": 2, "data": ["x", 1], "nsp": "/"} | changes)


def with_data(data: bytes) -> bytes:
    """An event with an ack id whose data is these bytes."""
    return b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x07\xa4data" + data


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x01",
        b"\x91" * 100_000,
        b"\x81\xa4type" + b"\x91" * 100_000 + b"\x01",
        packet_of() + b"\0",
        packet_of()[:-1],
        packet_of(type=5),
        packet_of(type=-1),
        packet_of(type="2"),
        packet_of(type=None),
        packet_of(nsp=""),
        packet_of(nsp="custom"),
        packet_of(nsp=7),
        packet_of(nsp="/" + "n" * 100),
        packet_of(id=-1),
        packet_of(id=MOST_ACK_ID + 1),
        packet_of(id=1.5),
        packet_of(id="7"),
        packet_of(id=None),
        packet_of(id=True),
        packet_of(id=b"x" * 1000),
        packet_of(type=1, data={}),
        packet_of(type=1, data=None),
        b"\x83\xa4type\x02\xa4data\x91\xa1x\xa3nsp\xa2/\xff",
    ],
)
def test_what_is_no_packet_is_malformed(message: bytes) -> None:
    with pytest.raises(Malformed) as fault:
        unpack_header(message)
    assert fault.value.problem.message


@pytest.mark.parametrize(
    "data",
    [
        b"\x90",
        b"\x80",
        b"\xc0",
        b"\xa1x",
        b"\x91\x01",
        b"\x91\xc0",
        b"\x91\xa1\xff",
        b"\x92\xa1x\xa2\xed\xa0",
        b"\x92\xa1x\x81\x01\x02",
        b"\x92\xa1x\x81\x90\x02",
        b"\x92\xa1x\x81\x80\x02",
        b"\x92\xa1x\xd4\x05\x00",
        b"\x92\xa1x\xd4\xff\x00",
        b"\x92\xa1x" + b"\x91" * DEEPEST + b"\x01",
        b"\x92\xa1x" + b"\x81\xa1a" * DEEPEST + b"\x01",
        b"\x92\xa1x" + b"\x91" * 900 + b"\x01",
        pack(["connect"]),
        pack(["newListener", 1]),
    ],
)
def test_an_event_that_cannot_be_read_is_answered(data: bytes) -> None:
    with pytest.raises(Malformed) as fault:
        parse_event(unpack_header(with_data(data)), MOST)
    assert fault.value.ack_id == 7
    assert fault.value.problem.message


@pytest.mark.parametrize("data", [b"\x90", b"\xc0", b"\xa1x", b"\x81\x01\x02", b"\x81\xa1a" * 900 + b"\x01"])
def test_auth_that_is_no_object_is_refused(data: bytes) -> None:
    message = b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data" + data
    with pytest.raises(Malformed) as fault:
        parse_auth(unpack_header(message), MOST)
    assert fault.value.problem.field == "auth"


def test_bounds() -> None:
    deepest = b"\x92\xa1x" + b"\x91" * (DEEPEST - 1) + b"\x01"
    assert json.dumps(parse_event(unpack_header(with_data(deepest)), MOST)[1].values()) == "[" * 64 + "1" + "]" * 64
    header = unpack_header(packet_of(data=["x", b"x" * 100], id=3))
    with pytest.raises(Malformed) as fault:
        parse_event(header, 100)
    assert (fault.value.problem.code.value, fault.value.ack_id) == ("too_large", 3)
    with pytest.raises(Malformed):
        parse_ack(unpack_header(packet_of(type=3, id=1, data=["x" * 100])), 100)
    with pytest.raises(Malformed):
        parse_ack(unpack_header(packet_of(type=3, id=1, data={})), 100)


@pytest.mark.parametrize("value", [b"\x90", b"\xd4\0\0", b"\xc4\0", b"\xc7\x08\0" + bytes(8)])
def test_a_packet_of_very_many_small_values_is_refused(value: bytes) -> None:
    data = b"\xdd" + struct.pack("!I", 50_002) + b"\xa1x" + value * 50_001
    with pytest.raises(Malformed, match="more than 50000") as fault:
        parse_event(unpack_header(with_data(data)), MOST)
    assert fault.value.ack_id == 7


@pytest.mark.parametrize("opening", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
@pytest.mark.parametrize("length", [2**32 - 1, 500_000])
def test_lengths_that_lie_cost_nothing(opening: bytes, length: int) -> None:
    liar = (opening + struct.pack("!I", length)) * 500
    for message in (liar, with_data(liar), b"\x81\xa4skip" + liar, b"\x81\xa2id" + liar):
        with pytest.raises(Malformed):
            unpack_header(message + bytes(100_000))


@given(
    message=st.binary(max_size=60)
    | st.binary(max_size=40).map(with_data)
    | st.binary(max_size=40).map(lambda tail: with_data(b"\x92\xa1x" + tail))
    | st.fixed_dictionaries({"type": ODD, "nsp": ODD, "data": ODD, "id": ODD}).map(pack)
)
def test_any_message_is_read_or_malformed(message: bytes) -> None:
    try:
        header = unpack_header(message)
        for parse in (parse_event, parse_ack, parse_auth):
            try:
                parse(header, 1000)
            except Malformed as fault:
                assert fault.problem.message
    except Malformed as fault:
        assert fault.problem.message
