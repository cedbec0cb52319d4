"""The live filter of one track: provisional flags, one fix at a time, in constant time and memory.

It remembers the newest fix it believes, and a candidate: a place that contradicts it. When several fixes in a row agree
with the candidate, the rider is there, and what was believed was wrong or lies behind a tunnel or a ferry; the same
goes for a clock that was set back. So no single bad fix, first or later, decides for long. Final flags are computed
over the whole track by `geo.filters.final_flags`.
"""

from geo.fix import IMPLAUSIBLE, Fix, Flag
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
"""So many fixes in a row that agree with each other outweigh what was believed before (proposed)."""


class LiveFilter:
    """Judges the fixes of one track in the order in which they arrive."""

    def __init__(self, accuracy_limit_metres: float = ACCURACY_LIMIT_METRES) -> None:
        self._accuracy_limit = accuracy_limit_metres
        self._newest: Fix | None = None
        self._anchor: Fix | None = None
        self._believed = 0
        self._candidate: Fix | None = None
        self._agreeing = 0
        self._latest_seq_behind: Fix | None = None
        self._behind = 0

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
        flags = Flag(0)
        if now_ms is not None and fix.timestamp > now_ms + AHEAD_TOLERANCE_MS:
            flags |= Flag.AHEAD
        if fix.accuracy is not None and fix.accuracy > self._accuracy_limit:
            return flags | Flag.INACCURATE
        if self._newest is not None and fix.timestamp <= self._newest.timestamp:
            return flags | self._judge_late(fix, self._newest)
        self._behind = 0
        contradiction = self._contradiction(self._newest, fix)
        if not contradiction:
            self._candidate, self._agreeing = None, 0
            return flags | self._believe(fix)
        return flags | self._judge_contradiction(fix, contradiction)

    def _judge_late(self, fix: Fix, newest: Fix) -> Flag:
        """A late fix changes nothing, unless the phone goes on numbering upwards: then its clock was set back."""
        if fix.seq > newest.seq:
            before = self._latest_seq_behind
            rising = before is not None and fix.seq > before.seq and fix.timestamp > before.timestamp
            self._behind = self._behind + 1 if rising else 1
            self._latest_seq_behind = fix
            if self._behind >= AGREEING_FIXES:
                self._start_over(fix)
                return Flag(0)
        return Flag.REPEATED if fix.timestamp == newest.timestamp else Flag(0)

    def _judge_contradiction(self, fix: Fix, contradiction: Flag) -> Flag:
        agrees = self._candidate is not None and not self._contradiction(self._candidate, fix)
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._candidate = fix
        needed = min(AGREEING_FIXES, self._believed + 1)  # a lone first fix is outweighed by two
        if self._agreeing < max(needed, 2):
            return contradiction
        self._start_over(fix)
        return Flag(0)

    def _start_over(self, fix: Fix) -> None:
        self._newest = self._anchor = fix
        self._believed = AGREEING_FIXES
        self._candidate = self._latest_seq_behind = None
        self._agreeing = self._behind = 0

    def _believe(self, fix: Fix) -> Flag:
        self._newest = fix
        self._believed = min(self._believed + 1, AGREEING_FIXES)
        anchor = self._anchor
        if anchor is None or not _within_reach(anchor, fix):
            self._anchor = fix
            return Flag(0)
        if fix.speed is None and fix.timestamp - anchor.timestamp < STANDING_SECONDS * 1000:
            return Flag(0)
        return Flag.STANDING

    @staticmethod
    def _contradiction(before: Fix | None, fix: Fix) -> Flag:
        """SPIKE when no motorcycle covers the step, JUMP when the Doppler speeds at both ends deny it, else nothing."""
        if before is None:
            return Flag(0)
        metres = chord(before.latitude, before.longitude, fix.latitude, fix.longitude)
        seconds = (fix.timestamp - before.timestamp) / 1000
        if metres > max(SPEED_LIMIT * seconds, NOISE_METRES):
            return Flag.SPIKE
        if before.speed is None or fix.speed is None or not JUMP_SHORTEST_SECONDS <= seconds <= JUMP_LONGEST_SECONDS:
            return Flag(0)
        fastest = max(before.speed, fix.speed)
        return Flag.JUMP if metres > seconds * max(JUMP_SPEED, JUMP_DOPPLERS * fastest) else Flag(0)


def _within_reach(anchor: Fix, fix: Fix) -> bool:
    """Whether the standing-jitter anchor may still hold: no Doppler speed that says otherwise, and near enough."""
    if fix.speed is not None and fix.speed >= STANDING_SPEED:
        return False
    reach = max(anchor.accuracy or 0.0, STANDING_METRES)
    return chord(anchor.latitude, anchor.longitude, fix.latitude, fix.longitude) < reach


def implausible(flags: Flag) -> bool:
    """Whether a fix with these flags is not believed."""
    return bool(flags & IMPLAUSIBLE)
