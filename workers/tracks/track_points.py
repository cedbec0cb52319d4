"""A whole track out of Postgres and its line into it, as columns: a million fixes in a second and in little memory."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from geo.track import BoolArray, FlagArray, TrackArrays
from workers.tracks.sql import statement

_POINTS = statement("points_of_track")
_FIELDS = (
    ("seq", ">i4"),
    ("timestamp", ">i8"),
    ("latitude", ">f8"),
    ("longitude", ">f8"),
    ("altitude", ">f4"),
    ("accuracy", ">f4"),
    ("speed", ">f4"),
    ("flags", ">i2"),
)
_ROW = np.dtype([("fields", ">i2"), *(pair for name, kind in _FIELDS for pair in ((f"{name}#", ">i4"), (name, kind)))])
_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_EPOCH_2000_MS = 946_684_800_000
_EWKB_LINESTRING_ZM = 2 | 0x8000_0000 | 0x4000_0000 | 0x2000_0000
_SRID = 4326
_SHORTEST_LINE = 2


@dataclass(frozen=True)
class StoredTrack:
    """The fixes of a track in (timestamp, seq) order, and the flags that Postgres has for them."""

    arrays: TrackArrays
    flags: FlagArray


async def load_track(connection: Any, month: int, track_id: UUID) -> StoredTrack:
    """All points of a track. `connection` is asyncpg's; raises what it raises."""
    data = bytearray()

    async def collect(piece: bytes) -> None:
        data.extend(piece)

    await connection.copy_from_query(_POINTS, month, track_id, output=collect, format="binary")
    rows = np.frombuffer(memoryview(data)[_HEADER_BYTES:-_TRAILER_BYTES], dtype=_ROW)
    timestamps = rows["timestamp"].astype(np.int64) // 1000 + _EPOCH_2000_MS
    order = np.lexsort((rows["seq"], timestamps))
    arrays = TrackArrays(
        rows["seq"][order].astype(np.int64),
        timestamps[order],
        *(rows[name][order].astype(np.float64) for name, _ in _FIELDS[2:7]),
    )
    return StoredTrack(arrays, rows["flags"][order].astype(np.int16))


def line_of(track: TrackArrays, counted: BoolArray) -> bytes | None:
    """The fixes that count as a LINESTRING ZM in EWKB, or None for less than two.

    M is the time in seconds since the epoch, strictly increasing. An altitude that is missing lies between those
    before and after it, and is 0 where there is none at all.
    """
    kept = track.take(_strictly_later(track, counted))
    if len(kept) < _SHORTEST_LINE:
        return None
    points = np.column_stack((kept.longitude, kept.latitude, _filled(kept.altitude), kept.timestamp / 1000))
    header = b"\x01" + np.array([_EWKB_LINESTRING_ZM, _SRID, len(kept)], dtype="<u4").tobytes()
    return header + points.astype("<f8").tobytes()


def _strictly_later(track: TrackArrays, counted: BoolArray) -> npt.NDArray[np.int64]:
    """Positions of counted fixes, of each time the first. The flags should say so already; the line depends on it."""
    positions = np.flatnonzero(counted)
    later = np.diff(track.timestamp[positions], prepend=-1) > 0
    return positions[later]


def _filled(altitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = np.flatnonzero(~np.isnan(altitude))
    if not len(known):
        return np.zeros(len(altitude))
    return np.interp(np.arange(len(altitude)), known, altitude[known])
