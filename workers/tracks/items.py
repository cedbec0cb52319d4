"""What a batch is made of: records that remember their stream entry, so that a fault can be traced and halved.

Pure. An entry that is no list of records, or a record with values that no column can hold, becomes a dead letter here;
what Postgres has to refuse itself is found by `bisect`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from domain.tracks.entries import Fixes, Record, Rejected, Started, Stopped, decode_records, encode_records
from domain.tracks.partitions import is_month
from geo.fix import LARGEST_SEQ

DEAD_LETTER = "dead_letter"
"""The reason of a gap whose fix is in the dead letters."""
FIRST_MS = 0
"""The beginning of 1970: earlier than nodes take now, because what was acknowledged once is stored."""
LAST_MS = 253_402_300_799_999
"""The end of the year 9999 in epoch milliseconds; Postgres and Python both know every time up to it."""


class Reason(StrEnum):
    """Why something is in the dead letters."""

    UNDECODABLE = "undecodable"
    """The entry is not a list of records; the whole entry is the letter."""
    OUT_OF_RANGE = "out_of_range"
    """A value that no column can hold; the detail names it."""
    OWNED_BY_ANOTHER = "track_owned_by_another"
    """The track belongs to another rider."""
    REFUSED = "refused_by_database"
    """Postgres refused it, alone; the detail is the SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the track stream."""

    id: bytes
    data: bytes


class Item(msgspec.Struct, frozen=True):
    """A record and the entry that it came in. There may be one for each fix: this is the quickest kind of object."""

    entry_id: bytes
    record: Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be stored: for a fix, a record with that one fix, which decodes like any other."""

    entry_id: bytes
    reason: Reason
    detail: str
    record: bytes


def dead(item: Item, reason: Reason, detail: str = "") -> DeadLetter:
    """The dead letter of a record."""
    return DeadLetter(item.entry_id, reason, detail, encode_records([item.record]))


def items_of(entry: Entry) -> tuple[list[Item], list[DeadLetter]]:
    """The records of an entry that can be stored, in order, and what cannot."""
    try:
        records = decode_records(entry.data)
    except msgspec.MsgspecError as error:
        # The message names a place in the structure and never a value.
        return [], [DeadLetter(entry.id, Reason.UNDECODABLE, str(error), entry.data)]
    items = [Item(entry.id, record) for record in records if _is_storable(record)]
    if len(items) == len(records):
        return items, []
    letters = [
        dead(Item(entry.id, record), Reason.OUT_OF_RANGE, _fault_of(record))
        for record in records
        if not _is_storable(record)
    ]
    return items, letters


def _is_storable(record: Record) -> bool:
    """Whether its values can be held. Fixes are judged by columns, see `prepare`; gaps are cut to what can be."""
    if not (is_month(record.month) and 0 <= record.received_ms <= LAST_MS):
        return False
    if type(record) is Fixes:
        return True
    if isinstance(record, Started):
        return 0 <= record.started_at_ms <= LAST_MS
    return not isinstance(record, Stopped) or -1 <= record.last_seq <= LARGEST_SEQ


def _fault_of(record: Record) -> str:
    """The field that makes a record unstorable."""
    if not is_month(record.month):
        return "month"
    if not 0 <= record.received_ms <= LAST_MS:
        return "received_ms"
    return "started_at_ms" if isinstance(record, Started) else "last_seq"


def gaps_of(record: Rejected | Stopped) -> list[tuple[int, int, str]]:
    """Closed ranges of sequence numbers that nobody waits for, with the reason; what no fix can have is left out."""
    if isinstance(record, Rejected):
        return [(seq, seq, code) for seq, code in record.reasons if 0 <= seq <= LARGEST_SEQ]
    cut = ((max(first, 0), min(last, LARGEST_SEQ)) for first, last in record.lost)
    return [(first, last, "lost") for first, last in cut if first <= last]


def halves(items: Sequence[Item]) -> tuple[list[Item], list[Item]] | None:
    """The items in two parts, in order; a single record is divided by its fixes or reasons. None: indivisible."""
    if len(items) > 1:
        middle = len(items) // 2
        return list(items[:middle]), list(items[middle:])
    item = items[0]
    match item.record:
        case Fixes(rows=[_, _, *_] as parts):
            field = "rows"
        case Rejected(reasons=[_, _, *_] as parts):
            field = "reasons"
        case _:
            return None
    middle = len(parts) // 2
    left, right = (msgspec.structs.replace(item.record, **{field: part}) for part in (parts[:middle], parts[middle:]))
    return [Item(item.entry_id, left)], [Item(item.entry_id, right)]


def gap_instead(item: Item) -> Item | None:
    """What to store in place of an indivisible dead record, so that its track does not wait for it."""
    match item.record:
        case Fixes(rows=[row]):
            seq = row[0]
        case Rejected(reasons=[(seq, _)]):
            pass
        case _:
            return None
    record = item.record
    gap = Rejected(record.track_id, record.user_id, record.month, record.received_ms, [(seq, DEAD_LETTER)])
    return Item(item.entry_id, gap)
