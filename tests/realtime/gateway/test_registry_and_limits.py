"""Contracts, routes, buckets and codes, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.gateway.answers import invalid_field
from realtime.gateway.codes import CLOSINGS
from realtime.gateway.contracts import Emission, Lane, Limit, Promise, Reply
from realtime.gateway.events.session import ErrorEvent
from realtime.gateway.limits import TokenBucket
from realtime.gateway.registry import Registry
from realtime.wire import packets
from realtime.wire.packets import PayloadDecoder
from realtime.wire.socket import farewell
from tests.realtime.gateway.signed import PLAIN, URGENT, Handlers


def test_two_handlers_for_one_event_stop_the_start() -> None:
    with pytest.raises(ValueError, match="two handlers for test:"):
        Registry([Handlers(), Handlers()])


def test_a_limit_for_nothing_stops_the_start() -> None:
    with pytest.raises(ValueError, match="test:nothing"):
        Registry([Handlers()], {"test:nothing": Limit(1.0, 1)})


def test_routes_know_their_lane_and_limit() -> None:
    registry = Registry([Handlers()], {PLAIN.name: Limit(9.0, 9)})
    plain, urgent = registry.find(PLAIN.name), registry.find(URGENT.name)
    assert plain is not None
    assert urgent is not None
    assert (plain.limit, plain.contract.lane) == (Limit(9.0, 9), Lane.COMMON)
    assert (urgent.limit, urgent.contract.lane) == (URGENT.limit, Lane.SOS)
    assert registry.find("test:nothing") is None


def test_what_is_urgent_goes_out_first_and_what_is_live_last() -> None:
    lanes = [
        Emission(name, Reply, promise).lane
        for name, promise in (("sos:alert", Promise.DURABLE), ("chat:said", Promise.DURABLE), ("a:frame", Promise.LIVE))
    ]
    assert lanes == [packets.Lane.SOS, packets.Lane.DURABLE, packets.Lane.LIVE]
    assert Emission("sos:alert", Reply, Promise.DURABLE).packet(Reply()).lane is packets.Lane.SOS


@given(
    rate=st.floats(0.1, 100.0),
    burst=st.integers(1, 200),
    pauses=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=200),
)
def test_a_bucket_never_gives_more_than_its_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    now = 0.0
    bucket = TokenBucket(Limit(rate, burst), now)
    given_out = 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        given_out += not wait
        assert wait <= 1.0 / rate + 1e-9
        assert given_out <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 100.0), burst=st.integers(1, 50))
def test_a_bucket_gives_again_when_it_said(rate: float, burst: int) -> None:
    bucket = TokenBucket(Limit(rate, burst), 0.0)
    for _ in range(burst):
        assert bucket.take(0.0) == 0.0
    wait = bucket.take(0.0)
    assert bucket.take(wait + 1e-9) == 0.0


def test_every_closing_has_its_own_status_and_tells_it_as_an_error_event() -> None:
    assert len({closing.status for closing in CLOSINGS}) == len(CLOSINGS)
    decoder = PayloadDecoder(ErrorEvent).json
    for closing in CLOSINGS:
        assert 4000 <= closing.status < 5000
        told = decoder.decode(farewell(closing)[0].text.removeprefix('42["error",').removesuffix("]"))
        assert told == ErrorEvent(closing.code, closing.message, reconnect=closing.reconnect.value)


@pytest.mark.parametrize(
    ("complaint", "message", "field"),
    [
        ("Expected `float`, got `str` - at `$.fix.latitude`", "Expected `float`, got `str`", "fix.latitude"),
        ("Object missing required field `seq` - at `$.fix`", "Object missing required field `seq`", "fix.seq"),
        ("Object contains unknown field `z`", "Object contains unknown field `z`", "z"),
        ("Expected `int`, got `str` - at `$.fixes[3].seq`", "Expected `int`, got `str`", "fixes[3].seq"),
        ("Expected `object`, got `array`", "Expected `object`, got `array`", None),
    ],
)
def test_complaints_become_fields(complaint: str, message: str, field: str | None) -> None:
    problem = invalid_field(complaint)
    assert (problem.message, problem.field) == (message, field)
