"""A whole track as columns, in the order in which everything about it is computed: time, then sequence number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from geo.geodesics import FloatArray

IntArray: TypeAlias = npt.NDArray[np.int64]
FlagArray: TypeAlias = npt.NDArray[np.int16]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrackArrays:
    """The fixes of one track: arrays of one length n, sorted by (timestamp, seq); NaN where a value is unknown.

    Units as in `geo.fix.Fix`: timestamps in milliseconds since the epoch, degrees, metres, metres per second.
    """

    seq: IntArray
    timestamp: IntArray
    latitude: FloatArray
    longitude: FloatArray
    altitude: FloatArray
    accuracy: FloatArray
    speed: FloatArray

    def __len__(self) -> int:
        return len(self.seq)

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> "TrackArrays":
        """From rows that begin with seq, timestamp, latitude, longitude, altitude, accuracy, speed (None: unknown).

        Further columns are ignored, so that the rows of the track stream fit. Any order; the arrays are sorted.
        """
        columns = list(zip(*(row[:7] for row in rows), strict=True)) or [()] * 7
        return cls.from_columns(*columns)

    @classmethod
    def from_columns(
        cls,
        seq: Sequence[int] | IntArray,
        timestamp: Sequence[int] | IntArray,
        latitude: Sequence[float] | FloatArray,
        longitude: Sequence[float] | FloatArray,
        altitude: Sequence[float | None] | FloatArray | None = None,
        accuracy: Sequence[float | None] | FloatArray | None = None,
        speed: Sequence[float | None] | FloatArray | None = None,
    ) -> "TrackArrays":
        """From columns in any order of rows; a whole optional column, or values of it, may be None."""
        numbers, times = np.asarray(seq, dtype=np.int64), np.asarray(timestamp, dtype=np.int64)
        order = np.lexsort((numbers, times))
        return cls(
            numbers[order],
            times[order],
            np.asarray(latitude, dtype=np.float64)[order],
            np.asarray(longitude, dtype=np.float64)[order],
            *(_optional(column, len(order))[order] for column in (altitude, accuracy, speed)),
        )

    def take(self, which: BoolArray | IntArray) -> "TrackArrays":
        """The fixes chosen by a mask or by ascending positions."""
        return TrackArrays(
            self.seq[which],
            self.timestamp[which],
            self.latitude[which],
            self.longitude[which],
            self.altitude[which],
            self.accuracy[which],
            self.speed[which],
        )


def _optional(column: Sequence[float | None] | FloatArray | None, count: int) -> FloatArray:
    return np.full(count, np.nan) if column is None else np.asarray(column, dtype=np.float64)
