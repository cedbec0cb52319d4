"""What waits leaves by lane, then in order, and is counted in bytes on the wire."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.outbox import Outbox
from realtime.wire.packets import Format, Lane, Packet, encode_event

LANES = st.sampled_from(list(Lane))
SIZES = st.integers(0, 300)
FORMATS = st.sampled_from(list(Format))


def put(outbox: Outbox, packet: Packet, form: Format = Format.JSON, now: float = 0.0) -> Packet:
    outbox.push(packet, packet.size(form), now)
    return packet


def event(number: int, lane: Lane = Lane.DURABLE, size: int = 0) -> Packet:
    return encode_event("number", number, "x" * size, lane=lane)


@given(st.lists(st.tuples(LANES, SIZES), max_size=20), st.integers(1, 2000), FORMATS)
def test_lanes_go_in_turn_and_each_keeps_its_order(
    pushed: list[tuple[Lane, int]], most_bytes: int, form: Format
) -> None:
    outbox = Outbox()
    packets = [put(outbox, event(number, lane, size), form) for number, (lane, size) in enumerate(pushed)]
    assert len(outbox) == len(packets)
    assert outbox.bytes == sum(packet.size(form) for packet in packets)
    taken = []
    while outbox:
        frames = outbox.take_frames(form, most_bytes)
        assert frames
        taken.append(frames)
    assert b"".join(taken) == b"".join(
        packet.frames(form) for packet in sorted(packets, key=lambda packet: packet.lane)
    )
    assert (outbox.bytes, outbox.oldest) == (0, None)


@given(st.lists(st.tuples(LANES, SIZES), min_size=1, max_size=20), FORMATS)
def test_a_poll_takes_everything_in_the_same_order(pushed: list[tuple[Lane, int]], form: Format) -> None:
    outbox = Outbox()
    packets = [put(outbox, event(number, lane, size), form) for number, (lane, size) in enumerate(pushed)]
    in_turn = sorted(packets, key=lambda packet: packet.lane)
    assert outbox.take_payload(form) == "\x1e".join(packet.payload(form) for packet in in_turn)
    assert (len(outbox), outbox.bytes, outbox.oldest) == (0, 0, None)


def test_no_more_is_taken_than_needed_and_a_packet_is_never_cut() -> None:
    outbox = Outbox()
    first, second, third = (put(outbox, event(number, size=100)) for number in range(3))
    assert outbox.take_frames(Format.JSON, 1) == first.frames(Format.JSON)
    assert outbox.take_frames(Format.JSON, second.size(Format.JSON)) == second.frames(Format.JSON)
    assert outbox.bytes == third.size(Format.JSON)


def test_what_is_urgent_overtakes_what_began_to_leave() -> None:
    outbox = Outbox()
    live, durable = put(outbox, event(1, Lane.LIVE)), put(outbox, event(2))
    assert outbox.take_frames(Format.JSON, 1) == durable.frames(Format.JSON)
    sos = put(outbox, event(3, Lane.SOS))
    late = put(outbox, event(4))
    left = outbox.take_frames(Format.JSON, 10_000)
    assert left == b"".join(packet.frames(Format.JSON) for packet in (sos, late, live))


def test_only_the_durable_lane_says_how_long_it_waits() -> None:
    outbox = Outbox()
    put(outbox, event(1, Lane.LIVE), now=10.0)
    put(outbox, event(2, Lane.SOS), now=11.0)
    assert outbox.oldest is None
    put(outbox, event(3), now=12.0)
    put(outbox, event(4), now=13.0)
    assert outbox.oldest == 12.0
    outbox.take_frames(Format.JSON, 1)
    assert outbox.oldest == 12.0, "the SOS went first"
    outbox.take_frames(Format.JSON, 1)
    assert outbox.oldest == 13.0
    outbox.take_payload(Format.JSON)
    assert outbox.oldest is None
