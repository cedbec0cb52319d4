"""Fixes of an import, put aside until the whole file is known to be good: in memory while few, in a file when many."""

import math
import struct
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile

from domain.tracks.entries import FixRow
from geo.fix import Fix

_IN_MEMORY_BYTES = 1 << 20
_ROW = struct.Struct("<qq8d")
_NO_VALUE = float("nan")
_NO_FLAGS = 0


class FixSpool:
    """An append-only list of fixes that takes 80 bytes for each. `close` it."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - see close
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, fixes: Sequence[Fix]) -> None:
        """Append fixes."""
        self._file.write(b"".join(_pack(fix) for fix in fixes))
        self._count += len(fixes)

    def rows(self, begin: int, count: int) -> list[FixRow]:
        """`count` fixes from the one numbered `begin`, as the track stream has them. Nothing is appended afterwards."""
        self._file.seek(begin * _ROW.size)
        data = self._file.read(count * _ROW.size)
        return [_row(values) for values in _ROW.iter_unpack(data)]

    def close(self) -> None:
        """Forget everything."""
        self._file.close()


def _pack(fix: Fix) -> bytes:
    optional = (fix.altitude, fix.accuracy, fix.speed, fix.heading, fix.lean, fix.battery)
    values = (_NO_VALUE if value is None else value for value in optional)
    return _ROW.pack(fix.seq, fix.timestamp, fix.latitude, fix.longitude, *values)


def _row(values: tuple[float, ...]) -> FixRow:
    seq, timestamp, latitude, longitude, *optional = values
    known = [None if math.isnan(value) else value for value in optional]
    return (int(seq), int(timestamp), latitude, longitude, *known, _NO_FLAGS)  # type: ignore[return-value]
