"""Socket.IO packets, as python-socketio writes them and as nobody should."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import ACK, CONNECT, EVENT, Packet

from realtime.wire.depth import deeper_than
from realtime.wire.header import DEEPEST, MOST_CONTAINERS, RESERVED
from realtime.wire.packets import Format, encode_ack, encode_event
from realtime.wire.parser import MOST_ATTACHMENTS, Kind, Malformed, parse_ack, parse_auth, parse_event, parse_header
from tests.realtime.wire.official import UNHURRIED, OfficialParsers
from tests.realtime.wire.values import ACK_IDS, BINARY_VALUES, EVENT_NAMES, JSON_VALUES, NAMESPACES

MOST = 1 << 20


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialParsers]:
    parsers = OfficialParsers()
    yield parsers
    parsers.close()


@given(name=EVENT_NAMES, argument=JSON_VALUES, ack_id=st.none() | st.integers(0, 10**16 - 1))
def test_events_of_the_library_are_read(name: str, argument: Any, ack_id: int | None) -> None:
    text = Packet(EVENT, [name, argument], id=ack_id).encode()
    header = parse_header(text)
    assert (header.kind, header.namespace, header.ack_id, header.attachments) == (Kind.EVENT, "/", ack_id, 0)
    got, arguments = parse_event(header, MOST)
    assert got == name
    assert len(arguments) == 1
    assert not arguments.binary


@given(name=st.text(), argument=JSON_VALUES, ack_id=st.integers(0, 10**16 - 1))
def test_what_is_written_is_read_by_the_library(name: str, argument: Any, ack_id: int) -> None:
    event = Packet(encoded_packet=encode_event(name, argument).text[1:])
    assert (event.packet_type, event.data) == (EVENT, [name, argument])
    ack = Packet(encoded_packet=encode_ack(ack_id, argument).text[1:])
    assert (ack.packet_type, ack.id, ack.data) == (ACK, ack_id, [argument])


def test_binary_events_and_namespaces_of_the_library_are_read() -> None:
    text, attachment = Packet(EVENT, ["x", b"data"], id=7).encode()
    header = parse_header(text)
    assert (header.kind, header.attachments, header.ack_id, attachment) == (Kind.BINARY_EVENT, 1, 7, b"data")
    assert parse_event(header, 100, [attachment])[1].values() == [b"data"]
    header = parse_header(Packet(CONNECT, {"token": "t"}, namespace="/admin").encode())
    assert (header.kind, header.namespace) == (Kind.CONNECT, "/admin")
    assert parse_header("0/admin?query=1,{}").namespace == "/admin"
    assert len(parse_auth(parse_header("0"), 10)) == 0


@given(text=st.text() | st.text('0123456/,-[]{}":xn_', max_size=30))
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        header = parse_header(text)
        parse_auth(header, 1000)
        parse_event(header, 1000, [b""] * header.attachments)
    except Malformed as fault:
        assert fault.problem.message


@pytest.mark.parametrize(
    "text", ["", "7", "x", "２[]", "2٣[]", "2-[]", "5[]", "52[]", "21-[]", "599-[]", "50-[]", "1{}", "1/a,1"]
)
def test_headers_that_are_wrong(text: str) -> None:
    with pytest.raises(Malformed):
        parse_event(parse_header(text), 100)


@pytest.mark.parametrize(
    ("payload", "says", "field"),
    [
        ('{"fix":{"latitude":NaN}}', "NaN and Infinity are not JSON", "fix.latitude"),
        ('{"fix": {"seq": 1, "speed" : -Infinity}}', "NaN and Infinity are not JSON", "fix.speed"),
        ('{"é":"[{,","fixes":[{"a":[]},{"x":1,"heading":inf}]}', "NaN and Infinity are not JSON", "fixes[1].heading"),
        ('{"bounds":[8.1,46.2,nan]}', "NaN and Infinity are not JSON", "bounds[2]"),
        ("NaN", "NaN and Infinity are not JSON", None),
        ('{},{"second":NaN}', "NaN and Infinity are not JSON", None),
        ('{"far":"' + "x" * 5000 + '","latitude":NaN}', "NaN and Infinity are not JSON", None),
        ('{"speed":undefined}', "not valid JSON: invalid character", "speed"),
        ('{"speed":01}', "not valid JSON: invalid number", "speed"),
        ('{"speed":"', "not valid JSON: it ends too early", None),
        ('{"speed":1]', "not valid JSON", "speed"),
        ("'a'", "not valid JSON: invalid character", None),
    ],
)
def test_what_is_no_json_is_told_so_with_its_field(payload: str, says: str, field: str | None) -> None:
    with pytest.raises(Malformed) as fault:
        parse_event(parse_header(f'27["location:update",{payload}]'), 100_000)
    assert fault.value.ack_id == 7
    assert fault.value.problem.message.startswith(says)
    assert fault.value.problem.field == field


@pytest.mark.parametrize("body", ["{}", "[]", "[1]", '"location:update"', "[null,{}]"])
def test_an_event_of_another_shape_is_told_the_shape(body: str) -> None:
    with pytest.raises(Malformed, match="a JSON array that begins with its name"):
        parse_event(parse_header(f"2{body}"), 100)


@UNHURRIED
@given(
    name=EVENT_NAMES, arguments=st.lists(BINARY_VALUES, max_size=3), namespace=NAMESPACES, ack_id=ACK_IDS, answer=...
)
def test_events_and_acks_of_the_official_parser_are_read(
    official: OfficialParsers, name: str, arguments: list[Any], namespace: str, ack_id: int | None, answer: bool
) -> None:
    packet = {"type": 3 if answer else 2, "nsp": namespace, "data": arguments if answer else [name, *arguments]}
    text, *parts = official.encode(Format.JSON, packet if ack_id is None else packet | {"id": ack_id})
    assert isinstance(text, str)
    attachments = [part for part in parts if isinstance(part, bytes)]
    header = parse_header(text)
    assert (header.namespace, header.ack_id, header.attachments) == (namespace, ack_id, len(parts))
    if answer:
        got, values = name, parse_ack(header, MOST, attachments)
    else:
        got, values = parse_event(header, MOST, attachments)
    assert (got, values.values()) == (name, arguments)
    assert (values.binary, len(values)) == (bool(parts), len(arguments))
    assert values.size == len(header.body.encode()) + sum(map(len, attachments))


def test_the_texts_of_the_protocols_own_suite() -> None:
    name, values = parse_event(parse_header('2456["message-with-ack",1,"2",{"3":[false]}]'), MOST)
    assert (name, values.values()) == ("message-with-ack", [1, "2", {"3": [False]}])
    text = '52-789["message",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]'
    assert parse_event(parse_header(text), MOST, [b"0", b"1"])[1].values() == [b"1", b"0"]


@pytest.mark.parametrize(
    "values",
    [
        '{"_placeholder":true,"num":0}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":2}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":-1}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":true}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1.0}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":"1"}',
        '{"_placeholder":true,"num":0},{"_placeholder":true}',
        '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}',
        '{"_placeholder":1,"num":0},{"_placeholder":1,"num":1}',
        "1,2",
    ],
)
def test_every_attachment_has_one_placeholder(values: str) -> None:
    with pytest.raises(Malformed) as fault:
        parse_event(parse_header(f'52-7["x",{values}]'), MOST, [b"0", b"1"])
    assert fault.value.ack_id == 7


def test_attachments_are_counted_and_weighed() -> None:
    header = parse_header('51-7["x",{"_placeholder":true,"num":0}]')
    for parts in ([], [b"a", b"b"], [b"x" * 100]):
        with pytest.raises(Malformed) as fault:
            parse_event(header, 100, parts)
        assert fault.value.ack_id == 7
    with pytest.raises(Malformed):
        parse_ack(parse_header('61-7[{"_placeholder":true,"num":0}]'), 100, [b"x" * 100])
    assert parse_header(f'5{MOST_ATTACHMENTS}-["x"]').attachments == MOST_ATTACHMENTS


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_that_the_official_parser_refuses(official: OfficialParsers, name: str) -> None:
    assert official.decode(Format.JSON, [f'2["{name}"]']) is None
    with pytest.raises(Malformed, match="keeps this name") as fault:
        parse_event(parse_header(f'27["{name}"]'), 100)
    assert fault.value.ack_id == 7


@pytest.mark.parametrize(
    "text",
    [
        "0[]",
        "0null",
        '0"t"',
        "1{}",
        '1"x"',
        "2",
        "2{}",
        "2null",
        '2[{"a":1}]',
        "2[null]",
        "3",
        "3{}",
        "37",
        "37null",
    ],
)
def test_what_the_official_parser_refuses_is_refused(official: OfficialParsers, text: str) -> None:
    if text not in ("2", "3", "37"):  # it lets these through without data
        assert official.decode(Format.JSON, [text]) is None
    parse = {"0": parse_auth, "3": parse_ack}.get(text[0], parse_event)
    with pytest.raises(Malformed):
        parse(parse_header(text), 100)


@pytest.mark.parametrize("levels", [DEEPEST, 500, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_what_is_nested_too_deeply_is_refused(levels: int, opening: str, closing: str) -> None:
    deep = opening * levels + "1" + closing * levels
    placeholder = '{"_placeholder":true,"num":0}'
    for text, parts in ((f'27["x",{deep}]', []), (f'51-7["x",{placeholder},{deep}]', [b"part"])):
        with pytest.raises(Malformed, match="nested too deeply") as fault:
            parse_event(parse_header(text), MOST, parts)
        assert fault.value.ack_id == 7
    with pytest.raises(Malformed, match="nested too deeply"):
        parse_ack(parse_header(f"37[{deep}]"), MOST)
    with pytest.raises(Malformed, match="nested too deeply"):
        parse_auth(parse_header('0{"a":' + deep + "}"), MOST)


def test_more_arrays_and_objects_than_anybody_needs_are_too_large() -> None:
    many = ",".join(["[]"] * (MOST_CONTAINERS + 1))
    with pytest.raises(Malformed, match="at most 50000 arrays and objects") as fault:
        parse_event(parse_header(f'27["x",[{many}]]'), MOST)
    assert fault.value.ack_id == 7


def test_many_brackets_are_not_deep() -> None:
    wide = ",".join(['{"a":"]}\\\\"}', '["\\"[{"]'] * 500)
    _, values = parse_event(parse_header(f'2["x",{wide}]'), MOST)
    assert values.values() == [{"a": "]}\\"}, ['"[{']] * 500
    deepest = "[" * (DEEPEST - 1) + '"[[[["' + "]" * (DEEPEST - 1)
    assert len(parse_event(parse_header(f'2["x",{deepest}]'), MOST)[1]) == 1


@given(value=JSON_VALUES, most=st.integers(0, 4))
def test_depth_is_what_it_is(value: Any, most: int) -> None:
    def depth(inner: Any) -> int:
        if isinstance(inner, dict):
            inner = list(inner.values())
        return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0

    assert deeper_than(most, json.dumps(value, ensure_ascii=False)) == (depth(value) > most)


def test_long_namespaces_are_refused() -> None:
    assert parse_header("0/" + "n" * 99).namespace == "/" + "n" * 99
    with pytest.raises(Malformed):
        parse_header("0/" + "n" * 100)


def test_sizes_are_of_bytes() -> None:
    header = parse_header('2["x","éé"]')
    assert parse_event(header, 12)[1].size == 12
    with pytest.raises(Malformed):
        parse_event(header, 11)
