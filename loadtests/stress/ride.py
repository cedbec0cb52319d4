"""What became of every fix of one rider: sent live or in a batch, answered, kept; and where each of them was.

Every fix has a place of its own, so that a dot on a map says which fix it shows.
"""

from dataclasses import dataclass, field
from uuid import UUID

UNITS = 100_000
Place = tuple[int, int]
"""Latitude and longitude in units of 1e-5 degrees."""


@dataclass(slots=True)
class Fix:
    """One fix; times are seconds by the monotonic clock, the timestamp milliseconds since the epoch."""

    seq: int
    place: Place
    timestamp: int
    node: int | None = None
    """The node it was sent to live."""
    sent_at: float | None = None
    """When it was sent live."""
    kept: bool = False
    """It was acknowledged."""
    answered_live: bool = False
    """There was an answer to it as it was sent live, a refusal perhaps."""
    shown: bool = False
    """The answer says that it is on the map: it was kept, or could not be just now."""

    def payload(self) -> dict[str, object]:
        """As it is sent."""
        return {
            "seq": self.seq,
            "timestamp": self.timestamp,
            "latitude": self.place[0] / UNITS,
            "longitude": self.place[1] / UNITS,
        }


@dataclass
class Ride:
    """One track of one rider."""

    rider: int
    track_id: UUID
    fixes: list[Fix] = field(default_factory=list)
    seq_at: dict[Place, int] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    """Numbers to be sent (again) in a batch."""
    unanswered: set[int] = field(default_factory=set)
    """Numbers that are under way."""
    node: int | None = None
    """Where the phone is connected, None while it is not."""
    speaks_often: bool = True
    """Whether the next fix comes at once: then it may be waited for."""
    linked_at: float = 0.0
    """When the connection that there is was made."""
    heard_by: float = 0.0
    """When a server has heard of the rider at the latest."""
    hidden_at: float | None = None
    """When the phone ended the track, from which on there must be no dot."""

    def add(self, place: Place, timestamp: int) -> Fix:
        """The next fix."""
        fix = Fix(len(self.fixes), place, timestamp)
        self.fixes.append(fix)
        self.seq_at[place] = fix.seq
        return fix

    @property
    def kept(self) -> int:
        """How many fixes are acknowledged."""
        return sum(fix.kept for fix in self.fixes)

    def oldest_unseen(self, seen: int, *, since: float) -> Fix | None:
        """The first fix after this one, sent live since that moment, that has to be on the map by now or soon."""
        later = self.fixes[seen + 1 :]
        return next((fix for fix in later if fix.shown and fix.sent_at is not None and fix.sent_at >= since), None)
