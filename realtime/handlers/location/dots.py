"""The dots of riders whose phones are connected to this node: where each is shown, and by whose right.

A dot is on the channels that the rider's policy allows for its newest position, and on no other. The policy is looked
up again whenever it changes; a dot whose policy is not known is on no channel. Another node may take a rider over; then
this one keeps still until the rider's phone speaks here again.
"""

from collections.abc import Iterator
from uuid import UUID

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.policies import Policies
from domain.location.rules import Place, channels_of
from domain.sharing.rules import SharingPolicy
from geo import cells
from geo.fix import Fix
from realtime.bus.takeover import Takeover
from realtime.hub.hub import Hub
from realtime.hub.records import UNKNOWN, LiveRecord, Tombstone

_log = structlog.get_logger(__name__)


class Dot:
    """One rider as shown by this node."""

    def __init__(self, rider: int, user_id: UUID) -> None:
        self.rider = rider
        self.user_id = user_id
        self.policy: SharingPolicy | None = None
        self.generation = 0
        self.version = 0
        self.provisional = False
        """The generation is from this node's clock, because Redis did not answer: taken again when it does."""
        self.superseded = False
        self.left: frozenset[str] = frozenset()
        """Channels on which another node had shown the rider, to be cleared."""
        self.channels: frozenset[str] = frozenset()
        self.fix: Fix | None = None
        self.place: Place | None = None
        self.sockets = 0


class Dots:
    """All dots of this node, by rider number."""

    def __init__(self, hub: Hub, takeover: Takeover, policies: Policies, clock: Clock) -> None:
        self._hub = hub
        self._takeover = takeover
        self._policies = policies
        self._clock = clock
        self._dots: dict[int, Dot] = {}

    def __iter__(self) -> Iterator[Dot]:
        return iter(list(self._dots.values()))

    def get(self, rider: int) -> Dot | None:
        """The rider's dot, if this node has one."""
        return self._dots.get(rider)

    def of_user(self, user_id: UUID) -> list[Dot]:
        """The dots of one account (one, unless the account is not here)."""
        return [dot for dot in self._dots.values() if dot.user_id == user_id]

    def arrive(self, rider: int, user_id: UUID) -> Dot:
        """A socket of the rider begins to ride here."""
        dot = self._dots.setdefault(rider, Dot(rider, user_id))
        dot.sockets += 1
        return dot

    def depart(self, rider: int) -> None:
        """A socket of the rider has gone: the dot stays on the map until its age ends it (tunnels are normal)."""
        dot = self._dots.get(rider)
        if dot is None:
            return
        dot.sockets -= 1
        if dot.sockets <= 0:
            del self._dots[rider]
            self._hub.release(rider)

    async def take(self, dot: Dot) -> None:
        """Make this node the one that shows the rider, under a policy that is known and a new generation."""
        await self.reload(dot)
        try:
            taken = await self._takeover.take(dot.rider)
        except Unavailable:
            dot.generation, dot.provisional = max(dot.generation + 1, self._clock.epoch_ms()), True
        else:
            dot.generation, dot.provisional = max(taken.generation, dot.generation), False
            dot.left |= taken.left
        dot.version = 0
        dot.superseded = False

    async def reload(self, dot: Dot) -> None:
        """Look the rider's policy up; where nobody can say, the dot is hidden until somebody can."""
        dot.policy = await self._policies.find(dot.user_id)
        self.refresh(dot)

    def show(self, dot: Dot, fix: Fix) -> None:
        """Put the newest fix on the channels where it may be seen."""
        dot.fix = fix
        dot.place = Place(fix.latitude, fix.longitude, cells.cell_at(fix.latitude, fix.longitude))
        if dot.superseded:
            return
        now_ms = self._clock.epoch_ms()
        allowed = channels_of(dot.policy, dot.rider, dot.place, now_ms)
        self._leave(dot, (dot.channels | dot.left) - allowed, now_ms)
        if allowed:
            dot.version += 1
            record = _record(dot, fix, dot.place.cell, now_ms)
            for channel in allowed:
                self._hub.put(channel, record)
        dot.channels = allowed

    def refresh(self, dot: Dot) -> None:
        """Take the dot off channels on which its policy, as it is now, does not allow it."""
        now_ms = self._clock.epoch_ms()
        allowed = channels_of(dot.policy, dot.rider, dot.place, now_ms) if dot.place else frozenset()
        self._leave(dot, dot.channels - allowed, now_ms)
        dot.channels &= allowed

    def hide(self, dot: Dot) -> None:
        """Take the dot off the map: the track has ended."""
        self._leave(dot, dot.channels | dot.left, self._clock.epoch_ms())
        dot.channels = frozenset()
        dot.fix = dot.place = None

    async def withdraw(self, rider: int) -> None:
        """Take a rider off the map wherever it is shown, also by a node that is gone. Raises Unavailable."""
        taken = await self._takeover.take(rider)
        removal = Tombstone(rider, taken.generation, 1, self._clock.epoch_ms())
        for channel in taken.left:
            self._hub.remove(channel, removal)

    def supersede(self, rider: int, generation: int) -> None:
        """Another node shows the rider now, unless this one has taken it back meanwhile."""
        dot = self._dots.get(rider)
        if dot is not None and dot.generation <= generation:
            dot.superseded = True
            dot.channels = dot.left = frozenset()

    def _leave(self, dot: Dot, channels: frozenset[str], now_ms: int) -> None:
        if not channels:
            return
        dot.version += 1
        removal = Tombstone(dot.rider, dot.generation, dot.version, now_ms)
        for channel in channels:
            self._hub.remove(channel, removal)
        dot.left -= channels


def _record(dot: Dot, fix: Fix, cell: int, now_ms: int) -> LiveRecord:
    return LiveRecord(
        rider=dot.rider,
        generation=dot.generation,
        version=dot.version,
        latitude_e5=round(fix.latitude * 1e5),
        longitude_e5=round(fix.longitude * 1e5),
        heading=UNKNOWN if fix.heading is None else round(fix.heading / 2) % 180,
        speed=UNKNOWN if fix.speed is None else round(fix.speed * 10),
        received_ms=now_ms,
        cell=cell,
    )
