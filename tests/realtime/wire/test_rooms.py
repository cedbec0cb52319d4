"""Rooms of one namespace: who hears what, also while they come and go, and what it costs."""

import timeit

import pytest

from realtime.wire.packets import Packet, encode_event
from realtime.wire.rooms import EVERYBODY, Rooms, node_of
from tests.realtime.wire.listeners import Listener

HELLO = encode_event("hello", 1)


def filled(*members: str) -> tuple[Rooms, dict[str, Listener]]:
    """`"a:x,y"` is a socket `a` in the rooms `x` and `y`."""
    rooms, sockets = Rooms(), {}
    for member in members:
        sid, _, names = member.partition(":")
        sockets[sid] = Listener(sid)
        rooms.add(sockets[sid])
        for name in filter(None, names.split(",")):
            rooms.enter(sid, name)
    return rooms, sockets


def hearers(sockets: dict[str, Listener]) -> str:
    return "".join(sid * len(socket.heard) for sid, socket in sockets.items())


@pytest.mark.parametrize(
    ("to", "but", "expected"),
    [
        (None, (), "abcd"),
        (None, ["x"], "cd"),
        (None, ["a", "y"], "d"),
        (["x"], (), "ab"),
        (["x", "y"], (), "abc"),
        (["x", "a", "a", "d"], (), "abd"),
        (["x", "y"], ["b"], "ac"),
        (["a"], (), "a"),
        (["a"], ["x"], ""),
        (["nobody"], (), ""),
        ([], (), ""),
    ],
)
@pytest.mark.parametrize("volatile", [False, True])
def test_each_hears_it_once(to: list[str] | None, but: list[str], expected: str, volatile: bool) -> None:
    rooms, sockets = filled("a:x", "b:x,y", "c:y", "d")
    rooms.send(HELLO, to, but, volatile=volatile)
    assert hearers(sockets) == expected
    assert all(packet is HELLO for socket in sockets.values() for packet in socket.heard)
    assert {flag for socket in sockets.values() for flag in socket.volatile} <= {volatile}


def test_coming_and_going() -> None:
    told: list[tuple[str, str | None]] = []
    rooms = Rooms(occupied=lambda room: told.append(("+", room)), vacated=lambda room: told.append(("-", room)))
    for sid in "ab":
        rooms.add(Listener(sid))
    assert rooms.enter("a", "x") and rooms.enter("b", "x") and not rooms.enter("a", "x")
    assert rooms.rooms_of("a") == ["a", "x"] and rooms.rooms_of("stranger") == []
    rooms.leave("a", "x")
    rooms.leave("a", "x")
    assert told == [("+", EVERYBODY), ("+", "x")]
    rooms.remove("b")
    rooms.remove("b")
    assert told[2:] == [("-", "x")] and list(rooms.names) == [] and len(rooms) == 1
    rooms.enter("a", "y")
    rooms.enter("a", "z")
    rooms.close("y")
    rooms.close("unknown")
    assert rooms.rooms_of("a") == ["a", "z"]
    rooms.remove("a")
    assert told[3:] == [("+", "y"), ("+", "z"), ("-", "y"), ("-", "z"), ("-", EVERYBODY)]


@pytest.mark.parametrize("name", ["", "x" * 201, "node-1.aaaaaaaaaaaaaaaaaaaa", "b"])
def test_names_that_no_room_has(name: str) -> None:
    rooms, _ = filled("a", "b")
    with pytest.raises(ValueError, match="room"):
        rooms.enter("a", name)
    assert rooms.rooms_of("a") == ["a"]
    with pytest.raises(KeyError):
        rooms.enter("stranger", "x")
    with pytest.raises(TypeError):
        rooms.enter("a", 7)  # type: ignore[arg-type]


def test_a_sockets_id_says_whose_it_is() -> None:
    assert node_of("node.one.aaaaaaaaaaaaaaaa-_AA") == "node.one"
    assert node_of("a" * 20) is None
    assert node_of("ride.17") is None


@pytest.mark.parametrize("to", [None, ["x"], ["x", "y"]])
def test_a_room_may_change_while_it_is_written_to(to: list[str] | None) -> None:
    rooms, sockets = filled("a:x", "b:x", "c:x")

    def change() -> None:
        if "b" in rooms:
            rooms.remove("b")
            rooms.leave("c", "x")
            rooms.add(Listener("new"))
            rooms.enter("new", "x")
            rooms.send(HELLO, ["x"])  # and be written to from within

    sockets["a"]._on_send = change
    rooms.send(HELLO, to)
    assert len(sockets["c"].heard) == 1, "it was in the room when the emit began"
    assert len(sockets["a"].heard) == 2
    members = rooms._rooms["x"].members
    rooms.enter("c", "x")
    assert rooms._rooms["x"].members is members, "nobody goes over it any more, so nothing is copied"


def test_one_socket_stands_in_for_another() -> None:
    rooms, sockets = filled("a:x")
    later = Listener("a")
    rooms.add(later)
    rooms.send(HELLO, ["x"])
    rooms.send(HELLO)
    assert (len(later.heard), len(sockets["a"].heard)) == (2, 0)


class _Deaf:
    closed = False

    def __init__(self, sid: str) -> None:
        self.sid = sid

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        pass


def test_a_disconnect_costs_its_own_rooms_only() -> None:
    def seconds(others: int) -> float:
        rooms = Rooms()
        for number in range(others):
            rooms.add(_Deaf(f"{number}"))  # type: ignore[arg-type]
            rooms.enter(f"{number}", f"room-{number}")
        sids = [f"{number}" for number in range(500)]
        return timeit.timeit(lambda: [rooms.remove(sid) for sid in sids], number=1)

    assert min(seconds(20_000) for _ in range(3)) < 8 * min(seconds(1_000) for _ in range(3)) + 0.001


def test_an_emit_to_a_room_is_a_bare_loop() -> None:
    rooms, sockets = Rooms(), [_Deaf(f"{number}") for number in range(1000)]
    for socket in sockets:
        rooms.add(socket)  # type: ignore[arg-type]
        rooms.enter(socket.sid, "x")
    room = ["x"]

    def bare() -> None:
        for socket in sockets:
            socket.send(HELLO)

    ours = min(timeit.repeat(lambda: rooms.send(HELLO, room), number=20, repeat=15))
    assert ours < 2 * min(timeit.repeat(bare, number=20, repeat=15))
