"""Takes back what was given out under policies that were changed since: dots of phones that have gone, sealed copies.

A change reaches the phones that ride by hints. What no phone answers for stays in Redis, and on the maps of nodes: the
dot of a phone that has gone, the copy that decides while Postgres is away. Promises: whatever a node hears of, from its
own riders or from Postgres, it has taken back as soon as Redis confirms it; several nodes may do so for one change.
"""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.policies import Policies
from domain.sharing.rules import PolicyChange
from realtime.handlers.location.dots import Dots

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
"""How long the nodes that ride with the phones have to show them under the new policy, and to say so."""
MOST_WAITING = 10_000
"""Changes that wait for Redis; beyond it the oldest are left to the other nodes, and to the age of dots."""

_log = structlog.get_logger(__name__)


@dataclass
class _Waiting:
    change: PolicyChange
    due: float
    """By the monotonic clock."""
    hidden: bool = False
    """This node shows the rider no more, though Redis does not answer."""


class Withdrawals:
    """What this node still has to take back."""

    def __init__(self, dots: Dots, policies: Policies, clock: Clock) -> None:
        self._dots = dots
        self._policies = policies
        self._clock = clock
        self._waiting: OrderedDict[UUID, _Waiting] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, change: PolicyChange) -> None:
        """See to this change in a moment; an older one of the rider is settled with it."""
        known = self._waiting.get(change.user_id)
        if known is not None and known.change.version >= change.version:
            return
        self._waiting[change.user_id] = _Waiting(change, self._clock.monotonic() + PATIENCE_SECONDS)
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
            _log.error("withdrawals_overflow", waiting=MOST_WAITING)

    async def at_once(self, change: PolicyChange) -> None:
        """Take the rider's dot off the map now; without Redis off this node's, and off the others' later."""
        try:
            await self._dots.withdraw_older(change.rider, change.version)
        except Unavailable:
            await self._dots.hide(change.rider)

    async def settle(self) -> None:
        """Take back what is due. While Redis is away, riders are hidden from those who watch on this node."""
        now = self._clock.monotonic()
        due = [each for each in self._waiting.values() if each.due <= now]
        try:
            for each in due:
                await self._take_back(each.change)
                if self._waiting.get(each.change.user_id) is each:
                    del self._waiting[each.change.user_id]
        except Unavailable:
            for each in due:
                if not each.hidden:
                    await self._dots.hide(each.change.rider)
                    each.hidden = True

    async def _take_back(self, change: PolicyChange) -> None:
        await self._dots.withdraw_older(change.rider, change.version)
        await self._policies.drop_older(change.user_id, change.version)

    async def run(self) -> None:
        """Settle every second until cancelled."""
        while True:
            await self._clock.sleep(RETRY_SECONDS)
            await self.settle()
