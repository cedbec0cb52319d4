"""What became of every fix of one ridden track: sent, acknowledged, refused; and what was seen of the live ones."""

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

from loadtests.replay.sources.tracks import Track


class State(IntEnum):
    """How far a fix has come; later states win."""

    HELD = 0
    SENT = 1
    ACKNOWLEDGED = 2
    REFUSED = 3


class Unseen:
    """Why a fix that was sent live did not reach its watcher (the names in the report)."""

    NEVER = "unexplained"
    FLAGGED = "implausible"
    STANDING = "standing"
    REPEATED = "repeated_time"
    OLDER = "older_than_newest"
    AWAY = "watcher_away"
    REFUSED = "not_acknowledged_live"
    STOPPED = "track_stopped_at_once"


@dataclass(slots=True)
class Sighting:
    """A fix that was sent live: when, and when its watcher had it or a newer one (monotonic seconds)."""

    seq: int
    sent_at: float
    watched: bool
    older: bool
    seen_at: float | None = None
    conflated: bool = False
    acknowledged: bool = False


@dataclass(slots=True)
class Ledger:
    """One track ridden by one rider."""

    track: Track
    track_id: UUID
    rider_name: str
    states: bytearray = field(init=False)
    refusals: dict[int, str] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)
    live: int = 0
    batched: int = 0
    late: int = 0
    resent: int = 0
    stopping_at: float | None = None
    """When `track:stop` was first sent, which takes the dot off the map (monotonic seconds)."""
    stopped: bool = False
    error: str | None = None

    def __post_init__(self) -> None:
        self.states = bytearray(len(self.track.fixes))

    def sent(self, seq: int) -> None:
        """A fix left for the server, perhaps again."""
        if self.states[seq] == State.HELD:
            self.states[seq] = State.SENT
        else:
            self.resent += 1

    def acknowledged(self, seq: int) -> None:
        """The server promised to keep it."""
        self.states[seq] = max(self.states[seq], State.ACKNOWLEDGED)

    def refused(self, seq: int, code: str) -> None:
        """The server will never take it."""
        self.states[seq] = State.REFUSED
        self.refusals[seq] = code

    def count(self, state: State) -> int:
        """How many fixes are in `state`."""
        return self.states.count(state)

    @property
    def sent_count(self) -> int:
        """How many fixes left at least once."""
        return len(self.states) - self.count(State.HELD)

    @property
    def acknowledged_count(self) -> int:
        """How many fixes the server promised to keep."""
        return self.count(State.ACKNOWLEDGED)

    @property
    def refusals_by_code(self) -> Counter[str]:
        """How many fixes were refused with each code."""
        return Counter(self.refusals.values())
