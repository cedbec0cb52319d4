"""The verdict on one track: what PostGIS holds against what was sent and acknowledged, and distances computed again.

Pure: rows in, verdict out. The bits of flags are declared here once more, on purpose, as a reader of the table knows
them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadtests.replay.ledger import Ledger, State
from loadtests.replay.sources.tracks import Fix, step_lengths

STANDING = 8
REPEATED = 16
IMPLAUSIBLE = ~(STANDING | REPEATED)
"""Every flag but the two that say nothing against a fix's position."""

OUTLIER_KMH = 300.0
"""A track without outliers never implies more than this, over at least a second."""
OUTLIER_ACCURACY_METRES = 100.0
"""Nor does its receiver ever admit to be worse than this."""
_BASELINE_MS = 1000
_SHORTEST_DISTANCE_METRES = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Row(NamedTuple):
    """One row of track_points."""

    seq: int
    timestamp: datetime
    latitude: float
    longitude: float
    altitude: float | None
    flags: int


class TrackRow(NamedTuple):
    """What the tracks table says of the track."""

    finished: bool
    distance_metres: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found for one ridden track. Distances in metres, speeds in km/h, shares in percent."""

    ledger: Ledger
    finished: bool
    stored: int
    missing: tuple[int, ...]
    duplicates: tuple[int, ...]
    different: tuple[int, ...]
    unexpected: tuple[int, ...]
    flags: dict[int, int]
    distance_stored: float | None
    distance_own: float
    fastest_raw: float
    fastest_kept: float
    inaccurate: bool

    @property
    def flagged(self) -> int:
        """Fixes that are not believed."""
        return sum(bool(flags & IMPLAUSIBLE) for flags in self.flags.values())

    @property
    def standing(self) -> int:
        """Fixes held by the anchor of a standing rider."""
        return sum(bool(flags & STANDING) for flags in self.flags.values())

    @property
    def repeated(self) -> int:
        """Fixes with a time that the track already had."""
        return sum(bool(flags & REPEATED) for flags in self.flags.values())

    @property
    def flagged_pct(self) -> float:
        """Share of the stored fixes that are not believed."""
        return 100.0 * self.flagged / len(self.flags) if self.flags else 0.0

    @property
    def without_outliers(self) -> bool:
        """Whether the file itself, in its own order, is plausible throughout."""
        return self.fastest_raw <= OUTLIER_KMH and not self.inaccurate

    @property
    def distance_error_pct(self) -> float:
        """How far the stored distance is from the geodesic sum; 100 when there is none."""
        if self.distance_stored is None:
            return 0.0 if self.distance_own == 0.0 else 100.0
        difference = abs(self.distance_stored - self.distance_own)
        return 100.0 * difference / max(self.distance_own, _SHORTEST_DISTANCE_METRES)

    @property
    def sound(self) -> bool:
        """Every acknowledged fix exactly once, exactly as sent, and nothing else, in a finished track."""
        wrong = self.missing or self.duplicates or self.different or self.unexpected
        return self.finished and not wrong and self.ledger.error is None


def judge(ledger: Ledger, rows: Sequence[Row], track: TrackRow | None) -> Verdict:
    """Compare one ledger with what is stored for its track."""
    fixes = ledger.track.fixes
    times = Counter(row.seq for row in rows)
    contents = {(fix.timestamp, fix.latitude, fix.longitude) for fix in fixes}
    strangers = [row for row in rows if not _may_be_stored(ledger, row.seq)]
    copies = [row.seq for row in strangers if _content(row) in contents]
    flags = {row.seq: row.flags for row in rows if _may_be_stored(ledger, row.seq)}
    kept = sorted((fixes[seq] for seq, flag in flags.items() if flag == 0), key=lambda fix: (fix.timestamp, fix.seq))
    return Verdict(
        ledger=ledger,
        finished=track is not None and track.finished,
        stored=len(rows),
        missing=tuple(seq for seq, state in enumerate(ledger.states) if state == State.ACKNOWLEDGED and not times[seq]),
        duplicates=(*(seq for seq, count in times.items() for _ in range(count - 1)), *copies),
        different=tuple(row.seq for row in rows if _may_be_stored(ledger, row.seq) and _differs(row, fixes[row.seq])),
        unexpected=tuple(row.seq for row in strangers if row.seq not in copies),
        flags=flags,
        distance_stored=None if track is None else track.distance_metres,
        distance_own=_length(kept),
        fastest_raw=fastest_as_written_kmh([fix for fix in fixes if fix.seq not in ledger.refusals]),
        fastest_kept=fastest_kmh(kept),
        inaccurate=any(fix.accuracy is not None and fix.accuracy > OUTLIER_ACCURACY_METRES for fix in fixes),
    )


def fastest_kmh(fixes: Sequence[Fix]) -> float:
    """The highest speed implied between a fix and the latest one at least a second before it, in time order."""
    ordered = sorted(fixes, key=lambda fix: (fix.timestamp, fix.seq))
    if len(ordered) < 2:
        return 0.0
    times = np.array([fix.timestamp for fix in ordered], dtype=np.int64)
    before = np.searchsorted(times, times - _BASELINE_MS, side="right") - 1
    after = np.flatnonzero(before >= 0)
    if not len(after):
        return 0.0
    before = before[after]
    metres = _between(ordered, before, after)
    return float(np.max(metres / (times[after] - times[before])) * 3600)


def fastest_as_written_kmh(fixes: Sequence[Fix]) -> float:
    """The same in the file's own order: where its clock runs backwards, a new stretch begins.

    A recorder that joins rides, or whose clock was set, has plausible stretches although their times interleave.
    """
    backwards = (seq for seq in range(1, len(fixes)) if fixes[seq].timestamp < fixes[seq - 1].timestamp)
    bounds = [0, *backwards, len(fixes)]
    return max((fastest_kmh(fixes[begin:end]) for begin, end in pairwise(bounds)), default=0.0)


def _between(
    fixes: Sequence[Fix], before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    latitudes = np.array([fix.latitude for fix in fixes])
    longitudes = np.array([fix.longitude for fix in fixes])
    pairs = np.column_stack((before, after)).ravel()
    return step_lengths(latitudes[pairs], longitudes[pairs])[::2]


def _length(fixes: Sequence[Fix]) -> float:
    return float(np.sum(step_lengths([fix.latitude for fix in fixes], [fix.longitude for fix in fixes])))


def _may_be_stored(ledger: Ledger, seq: int) -> bool:
    """Acknowledged, or sent with an answer that was lost."""
    return 0 <= seq < len(ledger.states) and ledger.states[seq] in (State.SENT, State.ACKNOWLEDGED)


def _content(row: Row) -> tuple[float, float, float]:
    return _microseconds(row) / 1000, row.latitude, row.longitude


def _microseconds(row: Row) -> int:
    return (row.timestamp - _EPOCH) // _MICROSECOND


def _differs(row: Row, fix: Fix) -> bool:
    if (_microseconds(row), row.latitude, row.longitude) != (fix.timestamp * 1000, fix.latitude, fix.longitude):
        return True
    if row.altitude is None or fix.altitude is None:
        return row.altitude is not fix.altitude
    return bool(np.float32(row.altitude) != np.float32(fix.altitude))  # stored as `real`
