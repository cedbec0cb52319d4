"""The upgrade request: what is answered with 101, what with which refusal, and from where a client is said to come."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.engine import Engine
from realtime.wire.handshake import Refusal, Request, accept, parse_query, parse_request, refusing, switching, target_of
from realtime.wire.options import WireOptions
from realtime.wire.origins import Origins
from tests.realtime.serving import handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""And its answer: the example of RFC 6455, section 1.3."""
ACCEPTED = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = {"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": KEY}


def request(**headers: str) -> Request:
    return Request("/", {}, {name.replace("_", "-"): value for name, value in headers.items()})


def test_the_key_of_the_rfc_has_the_answer_of_the_rfc() -> None:
    assert accept(Request("/", {}, GOOD)) == ACCEPTED
    assert accept(Request("/", {}, GOOD | {"upgrade": "WebSocket"})) == ACCEPTED
    assert f"Sec-WebSocket-Accept: {ACCEPTED}\r\n\r\n".encode() in switching(ACCEPTED)


@given(st.binary(min_size=16, max_size=16))
def test_any_key_of_16_bytes_is_answered(key: bytes) -> None:
    text = base64.b64encode(key).decode()
    digest = hashlib.sha1(text.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert accept(Request("/", {}, GOOD | {"sec-websocket-key": text})) == base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"upgrade": "h2c"}, 400),
        ({"upgrade": ""}, 400),
        ({"sec-websocket-version": "8"}, 426),
        ({"sec-websocket-version": ""}, 426),
        ({"sec-websocket-key": ""}, 400),
        ({"sec-websocket-key": "c2hvcnQ="}, 400),
        ({"sec-websocket-key": base64.b64encode(bytes(17)).decode()}, 400),
        ({"sec-websocket-key": KEY + "!"}, 400),
        ({"sec-websocket-key": "é" * 16}, 400),
    ],
)
def test_what_is_no_websocket_request_is_refused(changed: dict[str, str], status: int) -> None:
    with pytest.raises(Refusal) as refused:
        accept(Request("/", {}, GOOD | changed))
    assert refused.value.status == status
    answer = refusing(refused.value)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"Sec-WebSocket-Version: 13\r\n" in answer) == (status == 426)
    assert answer.endswith(refused.value.body)
    assert f"Content-Length: {len(refused.value.body)}\r\n".encode() in answer


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"GET /socket.io/?" + data + b" HTTP/1.1\r\n"))
def test_any_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    target = target_of(data)
    if target is None:
        return
    try:
        accept(parse_request(data, *target))
    except Refusal as refusal:
        assert refusal.status in (400, 426)


def test_a_request_is_taken_apart() -> None:
    data = handshake(80, "EIO=4&transport=websocket&a=%C3%A9+x&a=2&b", "X-Twice: 1\r\nX-Twice:  2 \r\n")
    target = target_of(data)
    assert target == ("/socket.io/", "EIO=4&transport=websocket&a=%C3%A9+x&a=2&b")
    taken = parse_request(data, *target)
    assert taken.query == {"EIO": "4", "transport": "websocket", "a": "é x", "b": ""}
    assert taken.headers["x-twice"] == "2"
    assert taken.headers["host"] == "127.0.0.1:80"


@pytest.mark.parametrize("data", [b"", b"POST / HTTP/1.1\r\n", b"GET /\r\n", b"GET / HTTP/2\r\n", b"\xff\xff\r\n"])
def test_what_is_no_get_request_is_none_of_ours(data: bytes) -> None:
    assert target_of(data) is None


@given(st.text(st.characters(codec="ascii", exclude_characters="&=%+#"), max_size=20))
def test_a_query_is_read_the_same_with_and_without_percent_signs(value: str) -> None:
    assert parse_query(f"a={value}&b=1") == parse_query(f"a={value}&b=%31")


# Origins and proxies

OWN = {"host": "map.example:8443", "origin": "https://map.example:8443"}


@pytest.mark.parametrize(
    ("allowed", "headers", "scheme", "verdict"),
    [
        (None, {}, "http", True),  # apps send none
        (None, OWN, "https", True),
        (None, OWN, "http", False),
        (None, OWN | {"x-forwarded-proto": "https"}, "http", True),
        (None, OWN | {"x-forwarded-proto": "https, http"}, "http", True),
        (None, {"host": "10.0.0.7", "x-forwarded-host": "map.example", "origin": "http://map.example"}, "http", True),
        (None, OWN | {"origin": "https://map.example"}, "https", False),
        (None, OWN | {"origin": "null"}, "https", False),
        (None, OWN | {"origin": ""}, "https", False),
        ([], OWN, "https", False),
        (["https://app.example"], OWN, "https", False),
        (["https://app.example"], OWN | {"origin": "https://app.example"}, "https", True),
        (["https://app.example"], OWN | {"origin": "https://app.example.evil"}, "https", False),
        (["*"], OWN | {"origin": "https://anywhere.example"}, "https", True),
    ],
)
def test_origins(allowed: list[str] | None, headers: dict[str, str], scheme: str, verdict: bool) -> None:
    assert Origins(allowed).allows(headers, scheme) is verdict


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("127.0.0.1", "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.1", "203.0.113.9", "203.0.113.1"),  # said by somebody
        (
            "127.0.0.1",
            "127.0.0.1",
            "198.51.100.1, 203.0.113.9",
            "203.0.113.9",
        ),  # the first one is the client's own word
        ("127.0.0.1, 10.0.0.0/8", "10.1.2.3", "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("*", "203.0.113.1", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_only_trusted_proxies_say_where_a_client_is(trusted: str, peer: str, forwarded: str, address: str) -> None:
    engine = Engine(WireOptions(trusted_proxies=trusted), lambda connection: pytest.fail("nobody came"))
    assert engine.address(peer, {"x-forwarded-for": forwarded} if forwarded else {}) == address
