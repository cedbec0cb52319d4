"""Sharing: choose who sees a rider, and see to it that every node goes by the choice at once."""

import contextlib
from uuid import UUID

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from domain.location.policies import Policies
from domain.location.service import RiderDirectory
from domain.sharing.ports import PolicyPort
from domain.sharing.service import SharingService
from realtime.gateway.client import Client
from realtime.gateway.contracts import handles
from realtime.gateway.events.location import SHARING_SET, SharingIs, SharingSet
from realtime.handlers.location.dots import Dots

REVIEW_SECONDS = 1.0
"""How often expired audiences and unknown policies are looked at."""


class SharingHandlers:
    """Handler of `sharing:set`."""

    def __init__(self, sharing: SharingService) -> None:
        self._sharing = sharing

    @handles(SHARING_SET)
    async def set_sharing(self, client: Client, payload: SharingSet) -> SharingIs:
        """Keep the choice; when this is answered it is committed, and the nodes have been told."""
        chosen = await self._sharing.set(client.identity.user_id, payload.audience, payload.expires_at)
        return SharingIs(chosen.audience, chosen.expires_at_ms)


class PolicyKeeper:
    """Implements the domain's PolicyPort: takes a dot off the map at once, then tells the nodes to look again."""

    def __init__(self, announce: PolicyPort, directory: RiderDirectory) -> None:
        self._announce = announce
        self._directory = directory
        self._policies: Policies
        self._dots: Dots

    def attach(self, policies: Policies, dots: Dots) -> None:
        """Join the circle: policies are read by the service that tells of their changes."""
        self._policies = policies
        self._dots = dots

    async def policy_changed(self, user_id: UUID) -> None:
        """The rider's dot is withdrawn wherever it is, and comes back under the new policy with the next fix."""
        await self._policies.find(user_id)  # keeps the new policy for times without Postgres
        rider = await self._directory.rider_of(user_id)
        if rider is not None and not self._dots.rides_here(rider):
            # Before the announcement: a node that rides with this phone takes the dot back when it hears of it.
            with contextlib.suppress(Unavailable):
                await self._dots.withdraw(rider)
        await self._announce.policy_changed(user_id)


class PolicyFollower:
    """Hears of changed policies and brings this node's dots in line."""

    def __init__(self, dots: Dots, tasks: TaskOwner, clock: Clock) -> None:
        self._dots = dots
        self._tasks = tasks
        self._clock = clock

    def policy_changed(self, user_id: UUID, version: int | None = None) -> None:
        """Hide the rider's dot here at once, then show it under the policy as it is now.

        `version` is that of the change, where it is known: a policy that is as new already stays.
        """
        for dot in self._dots.of_user(user_id):
            if version is not None and dot.policy is not None and dot.policy.version >= version:
                continue
            dot.policy = None
            self._dots.refresh(dot)
            if dot.sockets > 0:
                self._tasks.start(self._dots.retake(dot), name="retake")

    async def review(self) -> None:
        """Look again where a policy is not known, a generation not confirmed, or the audience has just expired."""
        for dot in self._dots:
            if self._dots.review(dot):
                await self._dots.retake(dot)

    async def run(self) -> None:
        """Review every second until cancelled."""
        while True:
            await self._clock.sleep(REVIEW_SECONDS)
            await self.review()
