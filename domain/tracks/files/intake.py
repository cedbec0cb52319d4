"""A GPX file on its way in: read to its end and judged before anything of it is recorded.

The rule for a point is the rule for a phone's fix (`geo.fix.fault_of`): one that cannot be used is counted and left
out; so is an optional value that makes no sense, and its point stays.
"""

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from domain.kit.errors import Invalid, Problem, TooLarge
from domain.tracks.files.spool import FixSpool
from geo.fix import Fix, fault_of
from geo.gpx import GpxError, GpxFault, GpxPoint, GpxReader, GpxTrack

NO_USABLE_POINTS = "no_usable_points"
_OPTIONAL = frozenset(Fix.__struct_fields__[4:])
_TOO_LARGE = (GpxFault.TOO_MANY_POINTS, GpxFault.TOO_MANY_TRACKS)


@dataclass
class Draft:
    """What one `trk` will be: `count` fixes of the spool from `begin` on. Times in epoch milliseconds."""

    source: GpxTrack
    begin: int = 0
    count: int = 0
    began_ms: int | None = None
    seqs: "array[int]" = field(default_factory=lambda: array("q"))
    rejected: "Counter[str]" = field(default_factory=Counter)
    """Points that no phone could have sent either, by the field at fault."""
    values_left_out: int = 0


class GpxIntake:
    """Feed it the file, then `finish` it; `close` it in any case. Raises Invalid and TooLarge with their reason."""

    def __init__(self, now_ms: int, *, most_points: int) -> None:
        self.spool = FixSpool()
        self.drafts: list[Draft] = []
        self._reader = GpxReader(most_points=most_points)
        self._digest = hashlib.sha256()
        self._now_ms = now_ms

    @property
    def digest(self) -> str:
        """Names the bytes of the file."""
        return self._digest.hexdigest()

    @property
    def waypoints(self) -> int:
        """Waypoints, which are not recorded."""
        return self._reader.waypoints

    @property
    def routes(self) -> int:
        """Routes, which are not recorded."""
        return self._reader.routes

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self._digest.update(data)
        try:
            self._take(self._reader.feed(data))
        except GpxError as error:
            raise _problem(error) from error

    def finish(self) -> None:
        """The file ends here."""
        try:
            self._take(self._reader.close())
        except GpxError as error:
            raise _problem(error) from error
        begin = 0
        for draft in self.drafts:
            draft.begin, begin = begin, begin + draft.count
            draft.values_left_out += draft.source.unreadable_values
        if not len(self.spool):
            fields = ", ".join(sorted({name for draft in self.drafts for name in draft.rejected}))
            message = f"no track point with a time is usable; at fault: {fields}"
            raise Invalid(message, field="body", reason=NO_USABLE_POINTS)

    def close(self) -> None:
        """Forget everything."""
        self.spool.close()

    def _take(self, points: list[GpxPoint]) -> None:
        for track in self._reader.tracks[len(self.drafts) :]:
            self.drafts.append(Draft(track))
        kept = [fix for point in points if (fix := self._usable(point)) is not None]
        self.spool.extend(kept)

    def _usable(self, point: GpxPoint) -> Fix | None:
        draft = self.drafts[point.track]
        fix = Fix(point.seq or 0, *point[2:])
        while (fault := fault_of(fix, self._now_ms)) is not None:
            if fault.field not in _OPTIONAL:
                draft.rejected[fault.field] += 1
                return None
            fix = msgspec.structs.replace(fix, **{fault.field: None})
            draft.values_left_out += 1
        draft.count += 1
        if point.seq is not None:
            draft.seqs.append(point.seq)
        if draft.began_ms is None or fix.timestamp < draft.began_ms:
            draft.began_ms = fix.timestamp
        return fix


def _problem(error: GpxError) -> Problem:
    where = "" if error.line is None else f" (line {error.line})"
    kind = TooLarge if error.fault in _TOO_LARGE else Invalid
    return kind(f"the file {error.message}{where}", field="body", reason=error.fault.value)
