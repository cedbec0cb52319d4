"""Socket.IO packets, as python-socketio writes them and as nobody should."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import ACK, CONNECT, EVENT, Packet

from realtime.wire.packets import encode_ack, encode_event
from realtime.wire.parser import Kind, Malformed, parse_auth, parse_event, parse_header

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(name=st.text(), argument=JSON, ack_id=st.none() | st.integers(0, 10**16 - 1))
def test_events_of_the_library_are_read(name: str, argument: Any, ack_id: int | None) -> None:
    text = Packet(EVENT, [name, argument], id=ack_id).encode()
    header = parse_header(text)
    assert (header.kind, header.namespace, header.ack_id, header.attachments) == (Kind.EVENT, "/", ack_id, 0)
    got, arguments = parse_event(header, 1 << 20)
    assert got == name
    assert len(arguments) == 1
    assert not arguments.binary


@given(name=st.text(), argument=JSON, ack_id=st.integers(0, 10**16 - 1))
def test_what_is_written_is_read_by_the_library(name: str, argument: Any, ack_id: int) -> None:
    event = Packet(encoded_packet=encode_event(name, argument).text[1:])
    assert (event.packet_type, event.data) == (EVENT, [name, argument])
    ack = Packet(encoded_packet=encode_ack(ack_id, argument).text[1:])
    assert (ack.packet_type, ack.id, ack.data) == (ACK, ack_id, [argument])


def test_binary_events_and_namespaces_of_the_library_are_read() -> None:
    text, attachment = Packet(EVENT, ["x", b"data"], id=7).encode()
    header = parse_header(text)
    assert (header.kind, header.attachments, header.ack_id, attachment) == (Kind.BINARY_EVENT, 1, 7, b"data")
    assert parse_event(header, 100)[1].binary
    header = parse_header(Packet(CONNECT, {"token": "t"}, namespace="/admin").encode())
    assert (header.kind, header.namespace) == (Kind.CONNECT, "/admin")
    assert parse_header("0/admin?query=1,{}").namespace == "/admin"
    assert len(parse_auth(parse_header("0"), 10)) == 0


@given(text=st.text())
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        header = parse_header(text)
        parse_auth(header, 1000)
        parse_event(header, 1000)
    except Malformed as fault:
        assert fault.problem.message


@pytest.mark.parametrize("text", ["", "7", "x", "２[]", "2٣[]", "2-[]", "5[]", "52[]", "21-[]", "599-[]"])
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
