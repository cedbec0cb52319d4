"""The dots of riders whose phones are connected to this node: where each is shown, and by whose right.

A dot is on the channels that the rider's policy allows for its newest position, and on no other. The policy is looked
up again whenever it changes; a dot whose policy is not known is on no channel. One track at a time moves a dot: the one
whose phone spoke up last, by its newest connection. Another node may take a rider over; then this one keeps still until
nothing moves the dot there any more, or a phone begins to ride here.
"""

import asyncio
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.policies import Policies
from domain.location.rules import channels_of
from geo.fix import Fix
from realtime.bus.redis_clock import RedisClock
from realtime.bus.takeover import Meant, Taken, Takeover
from realtime.handlers.location.dot import Dot
from realtime.hub.hub import Hub
from realtime.hub.records import Tombstone
from realtime.hub.topics import is_region

ASK_AGAIN_SECONDS = 1.0
"""How often a node asks, at most, whether a dot that another node took over is free again."""
_NOWHERE: Final = frozenset[str]()


class Dots:
    """All dots of this node, by rider number."""

    def __init__(
        self,
        hub: Hub,
        takeover: Takeover,
        policies: Policies,
        clock: Clock,
        redis_clock: RedisClock,
        *,
        life_seconds: float,
    ) -> None:
        """`life_seconds`: how long a position is shown without news."""
        self._hub = hub
        self._takeover = takeover
        self._policies = policies
        self._clock = clock
        self._redis_clock = redis_clock
        self._life_ms = round(life_seconds * 1000)
        self._dots: dict[int, Dot] = {}

    def __iter__(self) -> Iterator[Dot]:
        return iter(list(self._dots.values()))

    def rides_here(self, rider: int) -> bool:
        """Whether a phone of the rider drives the dot from this node, as far as is known."""
        dot = self._dots.get(rider)
        return dot is not None and dot.sockets > 0 and not dot.superseded

    def of_user(self, user_id: UUID) -> list[Dot]:
        """The dots of one account (one, unless the account is not here)."""
        return [dot for dot in self._dots.values() if dot.user_id == user_id]

    def arrive(self, rider: int, user_id: UUID) -> Dot:
        """A socket of the rider begins to ride here."""
        dot = self._dots.setdefault(rider, Dot(rider, user_id))
        dot.sockets += 1
        return dot

    def depart(self, dot: Dot, driver: object) -> None:
        """A socket of the rider has gone: the dot stays on the map until its age ends it (tunnels are normal).

        A dot that is shown until a given time is looked after until then.
        """
        dot.sockets -= 1
        if dot.driver is driver:
            dot.driver = None
        if dot.sockets <= 0 and not (dot.channels and dot.policy and dot.policy.expires_at_ms):
            self._forget(dot)

    def now_ms(self) -> int:
        """What time it is where takeovers are put in order."""
        return self._redis_clock.now_ms()

    async def take(
        self, dot: Dot, mover: UUID, driver: object, *, connected_ms: int, fix: Fix | None = None, heard_ms: int = 0
    ) -> None:
        """Make this node the one that shows the rider, moved by this track, under a policy that is known.

        `connected_ms`: since when the driver is connected, by `now_ms`. Where a later takeover was first, in Redis or
        by another socket here, that one stays. A `fix`, which came at `heard_ms`, is shown at once: the dot moves there
        from where another node had it, in one step. To take it away first would be told by another master of a cluster.
        """
        meant = Meant(connected_ms, self.now_ms())
        # Side by side: while Redis is silent each of them waits for it.
        await asyncio.gather(self._claim(dot, mover, driver, meant, fix, heard_ms), self._look_up_policy(dot))
        if dot.driver is driver:  # and no newer connection's, which came while the policy was looked up
            self.refresh(dot)

    async def retake(self, dot: Dot) -> None:
        """Make sure that the dot is still this node's, then show it under the policy as it is now."""
        await self._ask_for(dot)
        if not dot.superseded:
            await self._look_up_policy(dot)
            if dot.sockets > 0:  # nobody looks after the dot of a phone that has gone meanwhile: it stays hidden
                self.refresh(dot)

    def show(self, dot: Dot, fix: Fix, heard_ms: int) -> None:
        """Put the newest fix, which came at `heard_ms`, on the channels where it may be seen."""
        dot.move(fix, heard_ms)
        self.refresh(dot)

    def refresh(self, dot: Dot) -> None:
        """Put the dot on the channels that its policy, as it is now, allows, and take it off all others."""
        if dot.superseded:
            return
        now_ms = self._clock.epoch_ms()
        allowed = self._allowed(dot, now_ms)
        dot.judged_by = dot.policy
        if allowed == dot.channels and not dot.left:
            self._put(dot, allowed)
            return
        left = (dot.channels | dot.left) - allowed
        public = next(filter(is_region, allowed), None)
        moved = frozenset(filter(is_region, left)) if public else frozenset[str]()
        self._leave(dot, left - moved, now_ms)
        # From region to region in one step, for those who see both.
        self._put(dot, allowed, public, moved)
        dot.channels, dot.left = allowed, _NOWHERE

    def _put(
        self, dot: Dot, channels: frozenset[str], public: str | None = None, moved: frozenset[str] = _NOWHERE
    ) -> None:
        """Show the dot on these channels; on the public one instead of those from which it has moved."""
        if not channels or dot.fix is None or dot.place is None:
            return
        dot.version += 1
        record = dot.record(dot.fix, dot.place.cell)
        for channel in channels:
            self._hub.put(channel, record, left=moved if channel == public else (), policy=dot.heard_version)

    async def end(self, dot: Dot) -> None:
        """Take the dot off the map: its track has ended. Another phone of the rider may move it from now on."""
        dot.mover = dot.driver = dot.fix = dot.place = None
        dot.meant = Meant(dot.meant.connected_ms, self.now_ms())
        self.refresh(dot)  # here at once, whether Redis answers or not
        await self._ask_for(dot)
        self.refresh(dot)

    async def withdraw(self, rider: int, mover: UUID) -> None:
        """Take a rider off the map wherever this track shows it, also on a node that is gone. Raises Unavailable."""
        self._clear(rider, await self._takeover.take_off(rider, str(mover), self.now_ms()))

    async def withdraw_older(self, rider: int, version: int) -> None:
        """Take a rider off the map, wherever a policy older than this version shows it. Raises Unavailable.

        The nodes that the rider's phones are connected to do so themselves, without a moment in which nobody sees it.
        """
        if not self.rides_here(rider):
            self._clear(rider, await self._takeover.take_off_unless_known(rider, version), version)

    async def hide(self, rider: int) -> None:
        """Show the rider to nobody here, as Redis cannot be asked; a phone that rides here goes by its own policy."""
        if not self.rides_here(rider):
            await self._hub.hide(rider)

    def supersede(self, rider: int, generation: int) -> None:
        """Another node shows the rider now, unless this one has taken it back meanwhile."""
        dot = self._dots.get(rider)
        if dot is not None and dot.generation <= generation:
            dot.keep_still()

    def review(self, dot: Dot) -> bool:
        """Hide what may not be shown any more; whether the dot has to be taken again."""
        now_ms = self._clock.epoch_ms()
        if dot.channels and self._may_have_expired(dot, now_ms) and self._has_expired(dot, now_ms):
            self.refresh(dot)
        if dot.sockets > 0:
            return not (dot.superseded or dot.is_being_taken) and (dot.provisional or dot.policy is None)
        if not dot.channels or not self._hub.channels_of(dot.rider):
            self._forget(dot)
        return False

    def may_ask(self, dot: Dot) -> bool:
        """Whether to ask now, because a phone speaks here, if a dot that another node took over is free again."""
        now = self._clock.monotonic()
        if not dot.superseded or now - dot.asked_at < ASK_AGAIN_SECONDS:
            return False
        dot.asked_at = now
        return True

    async def _claim(self, dot: Dot, mover: UUID, driver: object, meant: Meant, fix: Fix | None, heard_ms: int) -> None:
        """Have the dot moved by this track, to the fix that it brings, be it that another node shows it."""
        taking = dot.taking = asyncio.get_running_loop().create_future()
        try:
            taken, provisional = await self._take_over(dot, mover, meant)
            if taken is not None:
                dot.adopt(taken)
                dot.provisional = provisional
            elif dot.driver in (None, driver):
                dot.keep_still()
            else:
                return
            dot.mover, dot.driver, dot.meant = mover, driver, meant
            if fix is not None:
                dot.move(fix, heard_ms)
        finally:
            taking.set_result(None)

    async def _take_over(self, dot: Dot, mover: UUID, meant: Meant) -> tuple[Taken | None, bool]:
        """What Redis says, or, without Redis, a generation of our own; whether it is only that."""
        try:
            return await self._takeover.take(dot.rider, str(mover), meant), False
        except Unavailable:
            # As of when the phone spoke: a node that stood still meanwhile must not beat whoever took over since.
            return Taken(max(dot.generation + 1, meant.spoken_ms), frozenset()), True

    async def _look_up_policy(self, dot: Dot) -> None:
        """Know the policy, and not one that was replaced while the stores were asked."""
        while True:
            heard = dot.heard_version
            policy = await self._policies.find(dot.user_id)
            if heard == dot.heard_version:
                break
        dot.learn(policy)

    async def _ask_for(self, dot: Dot) -> None:
        """Raise the generation, unless the dot is another node's by now.

        Not between a track's question and its answer: what is asked here names who moved the dot before, or nobody,
        and Redis would forget whose connection is the newest.
        """
        while dot.taking is not None and dot.is_being_taken:
            await asyncio.wait([dot.taking])
        try:
            taken = await self._takeover.retake(
                dot.rider, dot.generation, _name(dot.mover), dot.meant, policy=dot.heard_version
            )
        except Unavailable:
            dot.provisional = not dot.superseded
        else:
            if taken is None:
                self.supersede(dot.rider, dot.generation)
            else:
                dot.adopt(taken)

    def _allowed(self, dot: Dot, now_ms: int) -> frozenset[str]:
        """The channels of the dot's policy, as long as there is news of it, or there may be that this node missed."""
        ended = self._is_old(dot, now_ms) and not self._hub.catches_up()
        return _NOWHERE if ended else self._permitted(dot, now_ms)

    def _permitted(self, dot: Dot, now_ms: int) -> frozenset[str]:
        return _NOWHERE if dot.place is None else channels_of(dot.policy, dot.rider, dot.place, now_ms)

    def _is_old(self, dot: Dot, now_ms: int) -> bool:
        return now_ms - dot.heard_ms >= self._life_ms

    def _has_expired(self, dot: Dot, now_ms: int) -> bool:
        """Whether it may not be where it is any more. By its age alone only once this node knows what it missed."""
        if self._permitted(dot, now_ms) != dot.channels:
            return True
        return self._is_old(dot, now_ms) and not self._hub.catches_up()

    def _may_have_expired(self, dot: Dot, now_ms: int) -> bool:
        """Whether time alone, or a policy learnt since, may have changed where the dot is shown: mostly neither."""
        policy = dot.policy
        if policy is None or policy is not dot.judged_by or policy.expires_at_ms is not None:
            return True
        return self._is_old(dot, now_ms)

    def _forget(self, dot: Dot) -> None:
        if self._dots.get(dot.rider) is dot:
            del self._dots[dot.rider]
            self._hub.release(dot.rider)

    def _leave(self, dot: Dot, channels: frozenset[str], now_ms: int) -> None:
        if not channels:
            return
        dot.version += 1
        removal = Tombstone(dot.rider, dot.generation, dot.version, now_ms)
        for channel in channels:
            self._hub.remove(channel, removal, policy=dot.heard_version)

    def _clear(self, rider: int, taken: Taken | None, policy: int = 0) -> None:
        """Leave the channels on which the dot was shown, those among them that Redis has not been told of."""
        if taken is None:
            return
        removal = Tombstone(rider, taken.generation, 1, self._clock.epoch_ms())
        for channel in taken.left | self._hub.known_on(rider):
            self._hub.remove(channel, removal, policy=policy)


def _name(mover: UUID | None) -> str:
    return "" if mover is None else str(mover)
