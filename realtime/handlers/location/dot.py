"""One rider as a node shows it: whose the dot is, by which right, and where; what it is told as a record.

What has to be asked, and what listeners are shown, is up to `dots`.
"""

import asyncio
import math
from uuid import UUID

from domain.location.rules import Place
from domain.sharing.rules import SharingPolicy
from geo import cells
from geo.fix import Fix
from realtime.bus.takeover import Meant, Taken
from realtime.hub.records import UNKNOWN, LiveRecord


class Dot:
    """One rider as shown by this node."""

    def __init__(self, rider: int, user_id: UUID) -> None:
        self.rider = rider
        self.user_id = user_id
        self.policy: SharingPolicy | None = None
        self.judged_by: SharingPolicy | None = None
        """The policy by which `channels` were last worked out."""
        self.heard_version = 0
        """The newest version of the policy that was heard of: no older one counts any more."""
        self.generation = 0
        self.version = 0
        self.provisional = False
        """The generation was not confirmed, because Redis did not answer: asked for again when it does."""
        self.superseded = False
        self.left: frozenset[str] = frozenset()
        """Channels on which another node had shown the rider, to be cleared."""
        self.channels: frozenset[str] = frozenset()
        self.fix: Fix | None = None
        self.heard_ms = 0
        """When the fix was heard."""
        self.place: Place | None = None
        self.mover: UUID | None = None
        """The track that moves the dot."""
        self.meant = Meant(0, 0)
        """Since when the driver is connected, and when it spoke up."""
        self.driver: object | None = None
        """Who drives it: the socket's own state. None when that socket has gone or its track has ended."""
        self.asked_at = -math.inf
        """When this node last asked to have the dot back, by the monotonic clock."""
        self.taking: asyncio.Future[None] | None = None
        """Done when the newest takeover by a track here was answered, and what moves the dot is known."""
        self.sockets = 0

    @property
    def is_being_taken(self) -> bool:
        """Whether a track here has asked for it and was not answered yet."""
        return self.taking is not None and not self.taking.done()

    def hear(self, version: int) -> bool:
        """A policy of this version exists; whether that is news: the dot then goes by none until it is looked up."""
        if version <= self.heard_version:
            return False
        self.heard_version, self.policy = version, None
        return True

    def learn(self, policy: SharingPolicy | None) -> None:
        """Go by this policy, or by none; one that is older than what was heard of changes nothing."""
        if policy is None:
            self.policy = None
        elif policy.version >= self.heard_version:
            self.policy, self.heard_version = policy, policy.version

    def move(self, fix: Fix, heard_ms: int) -> None:
        """The rider is here, as was heard then."""
        self.fix, self.heard_ms = fix, heard_ms
        self.place = Place(fix.latitude, fix.longitude, cells.cell_at(fix.latitude, fix.longitude))

    def adopt(self, taken: Taken) -> None:
        """This node shows the rider. Versions begin again under a generation that is new."""
        if taken.generation > self.generation:
            self.generation, self.version = taken.generation, 0
        self.left |= taken.left
        self.superseded = self.provisional = False

    def keep_still(self) -> None:
        """Another node shows the rider."""
        self.superseded, self.provisional = True, False
        self.channels = self.left = frozenset()

    def record(self, fix: Fix, cell: int) -> LiveRecord:
        """Where the rider is by this fix, in this cell, as channels are told."""
        return LiveRecord(
            rider=self.rider,
            generation=self.generation,
            version=self.version,
            latitude_e5=round(fix.latitude * 1e5),
            longitude_e5=round(fix.longitude * 1e5),
            heading=UNKNOWN if fix.heading is None else round(fix.heading / 2) % 180,
            speed=UNKNOWN if fix.speed is None else round(fix.speed * 10),
            received_ms=self.heard_ms,
            cell=cell,
        )
