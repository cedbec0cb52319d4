"""The live filter of one track: provisional flags, one fix at a time, in constant time and memory.

It remembers the newest fix it believes, and a candidate: a place that contradicts it. When several fixes in a row agree
with the candidate, the rider is there, and what was believed was wrong or lies behind a tunnel or a ferry; the same
goes for a clock that was set back. So no single bad fix, first or later, decides for long. Final flags are computed
over the whole track by `geo.filters.final_flags`.
"""

from geo.fix import Fix, Flag
from geo.geodesics import chord
from geo.standing import STANDING_METRES, STANDING_SECONDS, STANDING_SPEED
from geo.steps import (
    JUMP_DOPPLERS,
    JUMP_LONGEST_SECONDS,
    JUMP_SHORTEST_SECONDS,
    JUMP_SPEED,
    NOISE_METRES,
    SPEED_LIMIT,
)

ACCURACY_LIMIT_METRES = 100.0
"""Fixes with a worse accuracy are flagged (Dawarich's default)."""
AHEAD_TOLERANCE_MS = 120_000
"""Milliseconds that a fix's time may be ahead of the server's clock without a flag (proposed)."""
AGREEING_FIXES = 3
"""So many fixes in a row that agree with each other outweigh what was believed before (proposed) …"""
AGREEING_MS = 1_000
"""… when they also span this many milliseconds, so that a glitch of a 25 Hz receiver is not believed (proposed)."""


_GOOD = Flag(0)
"""No flag; made once, as making flags costs more than judging most fixes."""


class LiveFilter:
    """Judges the fixes of one track in the order in which they arrive."""

    def __init__(self, accuracy_limit_metres: float = ACCURACY_LIMIT_METRES) -> None:
        self._accuracy_limit = accuracy_limit_metres
        self._newest: Fix | None = None
        self._believed = 0
        self._anchor: Fix | None = None
        self._candidate = _Candidate()
        self._behind = _Candidate()
        self._doppler_trusted = True

    @property
    def newest(self) -> Fix | None:
        """The fix with the latest time that is believed; None before the first."""
        return self._newest

    def is_late(self, fix: Fix) -> bool:
        """Whether the fix is older than the newest of its track (or as old): it repairs history and moves nothing.

        Ask before `judge`. When a phone's clock was set back, the fixes after it are late until a few of them agree.
        """
        return self._newest is not None and fix.timestamp <= self._newest.timestamp

    def judge(self, fix: Fix, now_ms: int | None = None) -> Flag:
        """The provisional flags of a fix, and remember it. `now_ms` is the server's clock, for AHEAD."""
        flags = self._judge(fix)
        if now_ms is not None and fix.timestamp > now_ms + AHEAD_TOLERANCE_MS:
            return flags | Flag.AHEAD
        return flags

    def _judge(self, fix: Fix) -> Flag:
        if fix.accuracy is not None and fix.accuracy > self._accuracy_limit:
            return Flag.INACCURATE
        if self._newest is not None and self.is_late(fix):
            return self._judge_late(fix, self._newest)
        self._behind.clear()
        contradiction = self._contradiction(self._newest, fix)
        if contradiction is not _GOOD:
            return self._judge_contradiction(fix, contradiction)
        self._candidate.clear()
        return self._believe(fix)

    def _judge_late(self, fix: Fix, newest: Fix) -> Flag:
        """A late fix changes nothing, unless the phone goes on numbering upwards: then its clock was set back."""
        if fix.seq > newest.seq:
            before = self._behind.newest
            self._behind.add(fix, before is not None and fix.seq > before.seq and fix.timestamp > before.timestamp)
            if self._behind.outweighs(AGREEING_FIXES):
                self._start_over(fix)
                return _GOOD
        return Flag.REPEATED if fix.timestamp == newest.timestamp else _GOOD

    def _judge_contradiction(self, fix: Fix, contradiction: Flag) -> Flag:
        """Not believed, unless it is one of several that agree; then the newest fix was wrong, or lies far back."""
        with_candidate = self._contradiction(self._candidate.newest, fix)
        self._candidate.add(fix, self._candidate.newest is not None and Flag.SPIKE not in with_candidate)
        if not self._candidate.outweighs(2 if self._believed == 1 else AGREEING_FIXES):
            return contradiction
        if with_candidate:  # a smooth path that its own Doppler speeds deny throughout: the speeds are wrong
            self._doppler_trusted = False
        self._start_over(fix)
        return _GOOD

    def _start_over(self, fix: Fix) -> None:
        self._newest = self._anchor = fix
        self._believed = AGREEING_FIXES
        self._candidate.clear()
        self._behind.clear()

    def _believe(self, fix: Fix) -> Flag:
        self._newest = fix
        self._believed = min(self._believed + 1, AGREEING_FIXES)
        speed = fix.speed if self._doppler_trusted else None
        if self._anchor is None or not _holds(self._anchor, fix, speed):
            self._anchor = fix
            return _GOOD
        held_long_enough = fix.timestamp - self._anchor.timestamp >= STANDING_SECONDS * 1000
        return Flag.STANDING if speed is not None or held_long_enough else _GOOD

    def _contradiction(self, before: Fix | None, fix: Fix) -> Flag:
        """SPIKE when no motorcycle covers the step, JUMP when the Doppler speeds at both ends deny it, else nothing."""
        if before is None:
            return _GOOD
        metres = chord(before.latitude, before.longitude, fix.latitude, fix.longitude)
        seconds = (fix.timestamp - before.timestamp) / 1000
        if metres > max(SPEED_LIMIT * seconds, NOISE_METRES):
            return Flag.SPIKE
        if before.speed is None or fix.speed is None or not self._doppler_trusted:
            return _GOOD
        judged = JUMP_SHORTEST_SECONDS <= seconds <= JUMP_LONGEST_SECONDS
        fastest = max(JUMP_SPEED, JUMP_DOPPLERS * max(before.speed, fix.speed))
        return Flag.JUMP if judged and metres > seconds * fastest else _GOOD


class _Candidate:
    """A run of fixes that agree with each other and not with what is believed."""

    def __init__(self) -> None:
        self.newest: Fix | None = None
        self._count = 0
        self._began_ms = 0

    def add(self, fix: Fix, agrees: bool) -> None:
        """Continue the run with a fix that agrees with it, or begin a new one."""
        self._count = self._count + 1 if agrees else 1
        self._began_ms = self._began_ms if agrees else fix.timestamp
        self.newest = fix

    def outweighs(self, fixes: int) -> bool:
        """Whether the run is long enough to be believed."""
        return (
            self.newest is not None and self._count >= fixes and self.newest.timestamp >= self._began_ms + AGREEING_MS
        )

    def clear(self) -> None:
        """Forget the run."""
        self.newest, self._count = None, 0


def _holds(anchor: Fix, fix: Fix, speed: float | None) -> bool:
    """Whether the standing-jitter anchor may hold a fix: no Doppler speed that says otherwise, and near enough."""
    if speed is not None and speed >= STANDING_SPEED:
        return False
    reach = max(anchor.accuracy or 0.0, STANDING_METRES)
    return chord(anchor.latitude, anchor.longitude, fix.latitude, fix.longitude) < reach
