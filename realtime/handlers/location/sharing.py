"""Sharing: choose who sees a rider, and see to it that every node goes by the choice at once."""

import asyncio
from typing import Protocol
from uuid import UUID

from domain.kit.clock import Clock
from domain.kit.tasks import TaskOwner
from domain.location.policies import Policies
from domain.sharing.rules import PolicyChange
from domain.sharing.service import SharingService
from realtime.gateway.client import Client
from realtime.gateway.contracts import handles
from realtime.gateway.events.location import SHARING_SET, SharingIs, SharingSet
from realtime.handlers.location.dots import Dots
from realtime.handlers.location.withdrawals import Withdrawals

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


class Announcer(Protocol):
    """Tells every node of changed policies."""

    async def policy_changed(self, user_id: UUID, version: int) -> None:
        """Tell them, or keep it until they can be told; never raises."""
        ...


class PolicyKeeper:
    """Implements the domain's PolicyPort: takes a dot off the map at once, then tells the nodes to look again."""

    def __init__(self, announce: Announcer) -> None:
        self._announce = announce
        self._policies: Policies
        self._withdrawals: Withdrawals

    def attach(self, policies: Policies, withdrawals: Withdrawals) -> None:
        """Join the circle: policies are read by the service that tells of their changes."""
        self._policies = policies
        self._withdrawals = withdrawals

    async def policy_changed(self, change: PolicyChange) -> None:
        """The rider's dot is withdrawn wherever it is, and comes back under the new policy with the next fix.

        Whatever cannot be done now is done later. The stores are asked side by side: they may all be silent.
        """
        self._withdrawals.add(change)
        await asyncio.gather(
            self._policies.find(change.user_id),  # keeps the new policy for times without Postgres
            self._withdraw_and_announce(change),
        )

    async def _withdraw_and_announce(self, change: PolicyChange) -> None:
        """In this order: a node that rides with the phone takes the dot back when it hears of the change."""
        await self._withdrawals.at_once(change)
        await self._announce.policy_changed(change.user_id, change.version)


class PolicyFollower:
    """Hears of changed policies and brings this node's dots in line."""

    def __init__(self, dots: Dots, withdrawals: Withdrawals, tasks: TaskOwner, clock: Clock) -> None:
        self._dots = dots
        self._withdrawals = withdrawals
        self._tasks = tasks
        self._clock = clock

    def policy_changed(self, user_id: UUID, version: int) -> None:
        """Hide the rider's dot here at once, then show it under the policy as it is now; a hint, heard soon.

        A policy that is as new as the change stays. A dot that another node shows is that node's to take back.
        """
        for dot in self._dots.of_user(user_id):
            if dot.hear(version):
                self._dots.refresh(dot)
                if dot.sockets > 0 and not dot.superseded:
                    self._tasks.start(self._dots.retake(dot), name="retake")

    def policy_found(self, change: PolicyChange) -> None:
        """As `policy_changed`, but read in Postgres by every node: whoever told of it may not have lived to do more."""
        self.policy_changed(change.user_id, change.version)
        self._withdrawals.add(change)

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
