"""The fixes of a track that count, as columns: what drawings and charts are made from, in a bounded amount of memory.

They come in PostgreSQL's binary COPY format, which numpy reads without making an object for each value. Of a track with
more than `MOST_FIXES` fixes every n-th is read, which a drawing does not show.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.tracks.library import Track
from domain.zones.service import Mask
from geo.geodesics import cartesian, chords
from geo.stops import STOP_METRES
from geo.track import BoolArray, TrackArrays

MOST_FIXES = 250_000
"""Fixes read of one track: seventy hours at one a second."""
GAP_SECONDS = 300.0
"""Without a fix for longer than this, and further on than a stop, nobody knows the way: the line is interrupted."""

_SECONDS = 20.0
_POINTS = """
SELECT seq, timestamp, latitude, longitude, coalesce(altitude, 'NaN'), coalesce(speed, 'NaN')
FROM track_points
WHERE track_month = $1 AND track_id = $2 AND flags = 0 AND seq % $3 = 0
"""
_ROW = np.dtype(
    [
        ("fields", ">i2"),
        *(
            column
            for name, kind in (
                ("seq", ">i4"),
                ("timestamp", ">i8"),
                ("latitude", ">f8"),
                ("longitude", ">f8"),
                ("altitude", ">f4"),
                ("speed", ">f4"),
            )
            for column in ((f"{name}#", ">i4"), (name, kind))
        ),
    ]
)
_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_EPOCH_2000_MS = 946_684_800_000


@dataclass(frozen=True)
class Shown:
    """The fixes of a track that are shown, in (timestamp, seq) order, with arrays of their length n beside them.

    `hidden_before`: fixes were left out before this one. `starts`: it begins a part, after a gap or after hidden fixes.
    `begin_hidden`, `end_hidden`: the track's own ends are not shown.
    """

    track: TrackArrays
    hidden_before: BoolArray
    starts: BoolArray
    begin_hidden: bool
    end_hidden: bool


async def read_copy(driver: Any, track: Track) -> bytearray:
    """The fixes that count in COPY's format. `driver` is asyncpg's connection; raises what that raises."""
    data = bytearray()

    async def collect(piece: bytes) -> None:
        data.extend(piece)

    every = -(-max(track.points, 1) // MOST_FIXES)
    await driver.copy_from_query(
        _POINTS, track.month, track.id, every, output=collect, format="binary", timeout=_SECONDS
    )
    return data


def shown_of(data: bytearray, mask: Mask) -> Shown:
    """What a drawing may show of these fixes."""
    track = _track_of(data)
    hidden = mask.hides(track.latitude, track.longitude)
    visible = np.flatnonzero(~hidden)
    shown = track.take(visible)
    hidden_before = np.diff(visible, prepend=-1) > 1
    starts = hidden_before | _after_gap(shown)
    starts[:1] = True
    return Shown(shown, hidden_before, starts, bool(hidden[:1].any()), bool(hidden[-1:].any()))


def _track_of(data: bytearray) -> TrackArrays:
    rows = np.frombuffer(memoryview(data)[_HEADER_BYTES:-_TRAILER_BYTES], dtype=_ROW)
    timestamps = rows["timestamp"].astype(np.int64) // 1000 + _EPOCH_2000_MS
    order = np.lexsort((rows["seq"], timestamps))
    unknown = np.full(len(order), np.nan)
    latitude, longitude, altitude, speed = (
        rows[name][order].astype(np.float64) for name in ("latitude", "longitude", "altitude", "speed")
    )
    return TrackArrays(
        rows["seq"][order].astype(np.int64), timestamps[order], latitude, longitude, altitude, unknown, speed
    )


def _after_gap(track: TrackArrays) -> BoolArray:
    if len(track) == 0:
        return np.zeros(0, dtype=np.bool_)
    points = cartesian(track.latitude, track.longitude)
    silent = np.diff(track.timestamp) > GAP_SECONDS * 1000
    return np.concatenate(([False], silent & (chords(points[:-1], points[1:]) > STOP_METRES)))
