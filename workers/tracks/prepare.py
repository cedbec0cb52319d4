"""From the records of a batch to what is written: one part for each track, and all fixes as sorted columns.

Pure, and the same fix twice in a batch is one fix: the first in stream order stays. Values that no column can hold
become dead letters here, fix by fix, found on whole columns because this runs for every fix there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

import numpy as np
import numpy.typing as npt

from domain.tracks.entries import Fixes, FixRow, Record, Rejected, Started, Stopped, encode_records
from geo.fix import LARGEST_SEQ
from workers.tracks.items import DEAD_LETTER, FIRST_MS, LAST_MS, DeadLetter, Item, Reason, gaps_of

IntColumn: TypeAlias = npt.NDArray[np.int64]
FloatColumn: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_LARGEST_REAL = float(np.finfo(np.float32).max)
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("seq", 0, LARGEST_SEQ),
    ("timestamp", FIRST_MS, LAST_MS),
    ("latitude", -90, 90),
    ("longitude", -180, 180),
    *(
        (name, -_LARGEST_REAL, _LARGEST_REAL)
        for name in ("altitude", "accuracy", "speed", "heading", "lean", "battery")
    ),
    ("flags", 0, 2**15 - 1),
)
"""The fields of a row in their order, and what their columns hold. The optional six may be missing (NaN)."""
OPTIONAL = slice(4, 10)
"""Where the optional fields of a row are."""


@dataclass(slots=True)
class TrackPart:
    """What a batch says about one track of one rider; times in epoch milliseconds."""

    track_id: UUID
    user_id: UUID
    month: int
    first_heard_ms: int
    last_heard_ms: int
    arrival: int
    """The number of the part in the order in which the stream named them."""
    started_at_ms: int | None = None
    motorcycle_id: UUID | None = None
    ride_id: UUID | None = None
    last_seq: int | None = None
    gaps: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FixColumns:
    """Fixes as columns of one length, sorted by (part, seq), each (part, seq) once."""

    part: IntColumn
    """Index of the track's part."""
    received_ms: IntColumn
    values: FloatColumn
    """The rows of the stream, n × 11: whole numbers up to 2^53 are exact in a double."""

    def __len__(self) -> int:
        return len(self.part)

    @property
    def seq(self) -> FloatColumn:
        """Sequence numbers."""
        return self.values[:, 0]

    def take(self, which: Mask | slice) -> "FixColumns":
        """The fixes chosen by a mask or a slice."""
        return FixColumns(self.part[which], self.received_ms[which], self.values[which])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch, ready to be written: parts in the order of their track ids, which is the order of their locks."""

    items: Sequence[Item]
    """What it was made of."""
    parts: list[TrackPart]
    fixes: FixColumns
    letters: list[DeadLetter]


@dataclass(slots=True)
class _Carriers:
    """The records that carry fixes, as lists of one length: quicker to fill than one object for each."""

    items: list[Item] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    """Arrival numbers of the parts."""
    lengths: list[int] = field(default_factory=list)
    received_ms: list[int] = field(default_factory=list)
    rows: list[FixRow] = field(default_factory=list)
    """The fixes of all records, one after the other."""


def prepare(items: Sequence[Item]) -> Prepared:
    """Sort a batch by tracks. This loop may run once for each fix there is: it does as little as it can."""
    parts = _Parts()
    carriers = _Carriers()
    carrying, numbers, lengths, received = carriers.items, carriers.parts, carriers.lengths, carriers.received_ms
    for item in items:
        record = item.record
        part = parts.of(record)
        heard_ms = record.received_ms
        if heard_ms > part.last_heard_ms:
            part.last_heard_ms = heard_ms
        elif heard_ms < part.first_heard_ms:
            part.first_heard_ms = heard_ms
        if type(record) is Fixes:
            carriers.rows += record.rows
            carrying.append(item)
            numbers.append(part.arrival)
            lengths.append(len(record.rows))
            received.append(heard_ms)
        else:
            _note(part, record)
    # Stable: of two riders who claim one track, the first in the stream stays first.
    ordered = sorted(parts.all, key=lambda part: part.track_id.int)
    place = np.empty(len(ordered), dtype=np.int64)
    place[[part.arrival for part in ordered]] = np.arange(len(ordered))
    fixes, letters = _columns(parts.all, place, carriers)
    return Prepared(items, ordered, fixes, letters)


class _Parts:
    """The parts of a batch, found by track. Numbers hash faster than UUIDs."""

    def __init__(self) -> None:
        self.all: list[TrackPart] = []
        self._first_of: dict[int, TrackPart] = {}

    def of(self, record: Record) -> TrackPart:
        """The part of the record's track and rider."""
        part = self._first_of.get(record.track_id.int)
        if part is not None and part.user_id.int == record.user_id.int:
            return part
        return self._of_another(record) if part is not None else self._new(record)

    def _new(self, record: Record) -> TrackPart:
        heard_ms = record.received_ms
        part = TrackPart(record.track_id, record.user_id, record.month, heard_ms, heard_ms, len(self.all))
        self.all.append(part)
        self._first_of.setdefault(record.track_id.int, part)
        return part

    def _of_another(self, record: Record) -> TrackPart:
        """Two riders claim one track: a fault or an attack, so it may take its time."""
        same = (part for part in self.all if (part.track_id, part.user_id) == (record.track_id, record.user_id))
        return next(same, None) or self._new(record)


def _note(part: TrackPart, record: Record) -> None:
    match record:
        case Started() if part.started_at_ms is None:
            part.started_at_ms = record.started_at_ms
            part.motorcycle_id, part.ride_id = record.motorcycle_id, record.ride_id
        case Rejected() | Stopped():
            for first, last, reason in gaps_of(record):
                part.gaps.setdefault((first, last), reason)
            if isinstance(record, Stopped):
                part.last_seq = max(record.last_seq, -1 if part.last_seq is None else part.last_seq)


def _columns(parts: list[TrackPart], place: IntColumn, carriers: _Carriers) -> tuple[FixColumns, list[DeadLetter]]:
    lengths = np.array(carriers.lengths, dtype=np.int64)
    owners = place[np.array(carriers.parts, dtype=np.int64)]
    fixes = FixColumns(
        np.repeat(owners, lengths),
        np.repeat(np.array(carriers.received_ms, dtype=np.int64), lengths),
        np.array(carriers.rows, dtype=np.float64).reshape(len(carriers.rows), len(_BOUNDS)),
    )
    good = _storable(fixes.values)
    if good.all():
        return _sorted_once(fixes), []
    letters = _dead_fixes(np.flatnonzero(~good), np.cumsum(lengths), parts, carriers)
    return _sorted_once(fixes.take(good)), letters


def _storable(values: FloatColumn) -> Mask:
    """Which rows fit their columns. A comparison with NaN is false, so that only the optional fields may be NaN."""
    low, high = (np.array([bounds[side] for bounds in _BOUNDS], dtype=np.float64) for side in (1, 2))
    fits = (values >= low) & (values <= high)
    fits[:, OPTIONAL] |= np.isnan(values[:, OPTIONAL])
    storable: Mask = np.logical_and.reduce(fits, axis=1)
    return storable


def _dead_fixes(which: IntColumn, ends: IntColumn, parts: list[TrackPart], carriers: _Carriers) -> list[DeadLetter]:
    """Dead letters for these rows; their sequence numbers, where they have one, are not waited for."""
    letters: list[DeadLetter] = []
    for position, carrier in zip(which.tolist(), np.searchsorted(ends, which, side="right").tolist(), strict=True):
        part, item, row = parts[carriers.parts[carrier]], carriers.items[carrier], carriers.rows[position]
        if 0 <= row[0] <= LARGEST_SEQ:
            part.gaps.setdefault((row[0], row[0]), DEAD_LETTER)
        alone = Fixes(part.track_id, part.user_id, item.record.month, item.record.received_ms, [row])
        letters.append(DeadLetter(item.entry_id, Reason.OUT_OF_RANGE, _field_of(row), encode_records([alone])))
    return letters


def _field_of(row: FixRow) -> str:
    for value, (name, low, high) in zip(row, _BOUNDS, strict=True):
        if value is not None and not low <= value <= high:
            return name
    return "row"


def _sorted_once(fixes: FixColumns) -> FixColumns:
    """In the order of the key; of equal keys the first in the stream (lexsort is stable)."""
    order = np.lexsort((fixes.seq, fixes.part))
    part, seq = fixes.part[order], fixes.seq[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (part[1:] != part[:-1]) | (seq[1:] != seq[:-1])
    chosen = order[first]
    return FixColumns(part[first], fixes.received_ms[chosen], fixes.values[chosen])
