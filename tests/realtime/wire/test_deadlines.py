"""Timers and heartbeats by a clock that stands still until it is turned."""

import heapq
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from realtime.wire.connection import Connection
from realtime.wire.deadlines import Deadlines
from realtime.wire.engine import Engine
from realtime.wire.handshake import Request
from realtime.wire.options import WireOptions

INTERVAL, TIMEOUT = 25.0, 20.0
EARLY = 0.01
"""The part of a duration by which its end may be early; it is never late."""


class PinnedLoop:
    """What the wire asks of an event loop for its timers."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._cancelled: set[int] = set()
        self.wake_ups = 0

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], object]) -> SimpleNamespace:
        number = next(self._order)
        heapq.heappush(self._timers, (when, number, callback))
        return SimpleNamespace(cancel=lambda: self._cancelled.add(number))

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        callback(*args)

    def turn(self, seconds: float) -> None:
        """Let time pass, and what is due happen at its time."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, number, callback = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if number not in self._cancelled:
                self.wake_ups += 1
                callback()
        self._now = end


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> PinnedLoop:
    pinned = PinnedLoop()
    for module in ("deadlines", "engine"):
        monkeypatch.setattr(f"realtime.wire.{module}.asyncio", SimpleNamespace(get_running_loop=lambda: pinned))
    return pinned


class Ends:
    """A listener of sessions that writes down why they ended."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def message(self, data: str | bytes) -> None:
        raise AssertionError(data)

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def session(loop: PinnedLoop, ends: Ends) -> Connection:
    options = WireOptions(ping_interval_seconds=INTERVAL, ping_timeout_seconds=TIMEOUT)
    return Engine(options, lambda _: ends).begin("127.0.0.1", Request("/socket.io/", {}, {}))


# Timers


def test_nothing_is_late_and_nothing_much_too_early(loop: PinnedLoop) -> None:
    due: dict[int, float] = {}
    deadlines = Deadlines[int](10.0, lambda item: due.setdefault(item, loop.time()))
    begun = {}
    for item in range(100):
        begun[item] = loop.time()
        deadlines.start(item)
        loop.turn(0.037)
    loop.turn(10.0)
    for item, at in due.items():
        assert 10.0 * (1 - EARLY) <= round(at - begun[item], 6) <= 10.0
    assert len(due) == 100
    assert loop.wake_ups < 60, "what is due at nearly the same time shares a wake-up"


def test_who_starts_anew_counts_anew(loop: PinnedLoop) -> None:
    due: list[str] = []
    deadlines = Deadlines[str](10.0, due.append)
    deadlines.start("anew")
    deadlines.start("once")
    loop.turn(9.0)
    deadlines.start("anew")
    loop.turn(1.0)
    assert due == ["once"]
    loop.turn(8.9)
    assert due == ["once"]
    loop.turn(0.1)
    assert due == ["once", "anew"]
    assert len(deadlines) == 0


def test_who_is_stopped_is_not_called_and_the_last_takes_the_timer_along(loop: PinnedLoop) -> None:
    due: list[str] = []
    deadlines = Deadlines[str](10.0, due.append)
    for item in ("first", "second"):
        deadlines.start(item)
        deadlines.stop(item)
        deadlines.stop(item)
    loop.turn(20.0)
    assert (due, loop.wake_ups) == ([], 0)


# Heartbeats


def test_a_ping_comes_once_an_interval_after_the_opening_and_after_each_answer(
    loop: PinnedLoop, session: Connection
) -> None:
    for pause in (0.0, 0.0, TIMEOUT - 1.0):
        loop.turn(INTERVAL * (1 - EARLY) - 0.1)
        assert session.take_payload() == ""
        loop.turn(INTERVAL * EARLY + 0.1)
        assert session.take_payload() == "2"
        loop.turn(pause)
        assert session.take_payload() == "", "one ping, one answer"
        session.hear(None, "3")
    assert not session.closed


def test_who_does_not_answer_is_gone_when_the_time_is_up(loop: PinnedLoop, session: Connection, ends: Ends) -> None:
    loop.turn(INTERVAL + TIMEOUT * (1 - 2 * EARLY) - 1.0)
    assert not session.closed
    loop.turn(TIMEOUT * 2 * EARLY + 1.0)
    assert ends.reasons == ["ping timeout"]


def test_an_answer_to_nothing_neither_helps_nor_harms(loop: PinnedLoop, session: Connection, ends: Ends) -> None:
    loop.turn(INTERVAL - 1.0)
    session.hear(None, "3")
    loop.turn(1.0)
    assert session.take_payload() == "2"
    loop.turn(TIMEOUT)
    assert ends.reasons == ["ping timeout"]


def test_messages_are_no_answer(loop: PinnedLoop, session: Connection, ends: Ends) -> None:
    loop.turn(INTERVAL)
    for packet in ("6", "5"):
        session.hear(None, packet)
    loop.turn(TIMEOUT)
    assert ends.reasons == ["ping timeout"]
