"""The ears of a node: one connection for each Redis master that has channels which should be heard.

Promises: `subscribe` returns only after Redis has confirmed; after a loss every wished channel is subscribed again,
wherever it is by then, and `on_restored` is called once all are confirmed, because what was said meanwhile is lost.
Each connection proves that it hears, by what the node says to itself through it; one that does not is given up.
"""

import asyncio
import itertools
import math
import secrets
from collections.abc import Callable
from typing import TypeAlias

import structlog
from redis.exceptions import ClusterDownError

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.redis_cluster_map import ClusterMap
from domain.kit.redis_connections import packed
from domain.kit.redis_slots import slot_of
from domain.kit.redis_urls import Address, Topology
from domain.kit.tasks import TaskOwner
from realtime.bus.attempts import Attempts
from realtime.bus.connections import REDIS_FAILURES, RETRY_AFTER_MS, BusOptions, RedisLink, create_maker
from realtime.bus.ear import Ear

Place: TypeAlias = Address | None
"""A master of a cluster; None is the only one there is."""

_log = structlog.get_logger(__name__)


class _OnePlace:
    """What `ClusterMap` is for a cluster."""

    version = 1
    doubted = False
    masters: frozenset[Place] = frozenset([None])

    def owner(self, _slot: int) -> Place:
        return None

    def has(self, _master: Place, _slot: int) -> bool:
        return True

    async def refresh(self, seen: int | None = None) -> None:
        """There is nothing to find out."""
        self.doubted = False


class _Wish:
    """A channel that should be heard: where it was ordered, and a future that is done while it is heard."""

    __slots__ = ("confirmed", "ear")

    def __init__(self) -> None:
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ear: Ear | None = None


class Subscriber:
    """Subscribes to sharded channels and hands their messages over, synchronously, in order of arrival."""

    def __init__(
        self,
        clock: Clock,
        options: BusOptions,
        *,
        on_message: Callable[[bytes, bytes], None],
        on_restored: Callable[[], None],
        name: str,
        on_proof: Callable[[float | None], None] = lambda round_trip_seconds: None,
    ) -> None:
        """`on_proof` is told how long each proof took through Redis and back, or None when Redis did not take one."""
        self._clock = clock
        self._options = options
        self.heard = on_message
        self._on_restored = on_restored
        self._on_proof = on_proof
        self._maker = create_maker(options, name=name, protocol=2)
        self._voice = RedisLink(options, name=f"{name}-proof", deadline_seconds=options.timeout_seconds)
        url = self._maker.url
        is_cluster = url.topology is Topology.CLUSTER
        self._map = ClusterMap(url.addresses, self._maker.make_probe) if is_cluster else _OnePlace()
        self._token = secrets.token_hex(8)
        self._wishes: dict[str, _Wish] = {}
        self._ears: dict[Place, Ear] = {}
        self._unheard: set[str | Ear] = set()
        """Channels not confirmed, and ears whose proof is not."""
        self._homeless: set[str] = set()
        """Channels that no ear has been told to hear."""
        self._owner: TaskOwner | None = None
        self._changed = asyncio.Event()
        self._pausing = False
        self._attempts = Attempts(options.reconnect_seconds)
        self._fault: Exception | None = None
        self._version = 0
        self._heard_at: dict[Place, float] = {}
        self.restored = False
        self.restored_at = -math.inf
        """When hearing began, by the monotonic clock."""
        self.losses = 0
        """How often something wished was not heard any more: a connection lost, or a channel moved away."""

    def __len__(self) -> int:
        return len(self._wishes)

    @property
    def connected(self) -> bool:
        """Whether all that is wished is subscribed, and each connection has heard itself recently."""
        return self.restored and all(ear.silence() < self._options.deaf_seconds for ear in self._ears.values())

    @property
    def connections(self) -> int:
        """Connections that hear: on a cluster one for each master."""
        return sum(ear.is_open for ear in self._ears.values())

    def heard_seconds_ago(self) -> float:
        """The age of the oldest of the newest proofs of all connections; infinite before the first."""
        return self._clock.monotonic() - min(self._heard_at.values(), default=-math.inf)

    def wish(self, channel: str) -> None:
        """Want a channel heard as soon as that can be, without waiting."""
        if channel in self._wishes:
            return
        self._wishes[channel] = _Wish()
        self._unheard.add(channel)
        self._homeless.add(channel)
        if self._owner is not None:
            self._place(channel)

    async def subscribe(self, channel: str) -> None:
        """Hear a channel; returns when Redis has confirmed. Raises Unavailable; the wish stays all the same."""
        self.wish(channel)
        if not self._ears:
            raise Unavailable("the bus is not connected", retry_after_ms=RETRY_AFTER_MS)
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                await asyncio.shield(self._wishes[channel].confirmed)
        except TimeoutError as error:
            raise Unavailable("Redis did not confirm a subscription", retry_after_ms=RETRY_AFTER_MS) from error

    def unsubscribe(self, channel: str) -> None:
        """Stop hearing a channel."""
        wish = self._wishes.pop(channel, None)
        if wish is None:
            return
        if not wish.confirmed.done():
            wish.confirmed.set_exception(Unavailable("nobody listens any more"))
            wish.confirmed.exception()
        self._homeless.discard(channel)
        self._unheard.discard(channel)
        if wish.ear is not None:
            wish.ear.order("SUNSUBSCRIBE", channel)
        self._look_whether_restored()

    def reset(self) -> None:
        """Give all connections up; `run` makes new ones."""
        for ear in self._ears.values():
            ear.close()

    async def run(self) -> None:
        """Connect, hear, and connect again, until cancelled."""
        async with TaskOwner("subscriber") as owner:
            self._owner = owner
            try:
                while True:
                    self._changed.clear()
                    await self._settle()
                    await self._changed.wait()
                    if self._fault is not None:
                        raise self._fault
                    if self._pausing:
                        await self._clock.sleep(self._attempts.pause_seconds())
            finally:
                self._owner = None
                try:
                    await owner.close()
                finally:
                    await self._voice.aclose()

    # Who hears what

    async def _settle(self) -> None:
        """Have an ear for each master that is needed, and each wish told to one."""
        self._pausing = False
        try:
            if self._map.doubted:
                async with asyncio.timeout(2 * self._options.timeout_seconds):
                    await self._map.refresh()
            self._follow_slots()
            if not self._ears:
                self._ear_on(self._map.owner(slot_of(self._token)))
        except REDIS_FAILURES as error:
            self._attempts.failed(error)
            self._look_again()
            return
        for channel in list(self._homeless):
            self._place(channel)
        self._look_whether_restored()  # who was lost may have heard nothing but its own proof
        self._heard_at = {place: at for place, at in self._heard_at.items() if place in self._ears}

    def _follow_slots(self) -> None:
        """Take what has moved away from the ears that had it, and have no ear on who is no master any more."""
        if self._version == self._map.version:
            return
        self._version = self._map.version
        for channel, wish in list(self._wishes.items()):
            if wish.ear is not None and not self._is_at(channel, wish.ear.place):
                wish.ear.order("SUNSUBSCRIBE", channel)
                self._lose(channel)
                self._note_loss("moved")
        for place, ear in list(self._ears.items()):
            if place not in self._map.masters:
                self._let_go(ear)
                self._note_loss("moved")
                ear.close()
            elif not self._is_at(ear.proof, place):
                ear.prove_on(self._proof_on(place))

    def _is_at(self, channel: str, place: Place) -> bool:
        """Whether nothing is known to the contrary."""
        try:
            return self._map.owner(slot_of(channel)) == place
        except ClusterDownError:
            return True

    def _place(self, channel: str) -> None:
        """Tell an ear to hear the channel, when it is known on which master it is."""
        if self._map.doubted:
            self._look_again()
            return
        try:
            place = self._map.owner(slot_of(channel))
        except ClusterDownError:
            self._look_again()
            return
        ear = self._wishes[channel].ear = self._ears.get(place) or self._ear_on(place)
        self._homeless.discard(channel)
        ear.order("SSUBSCRIBE", channel)

    def _ear_on(self, place: Place) -> Ear:
        ear = Ear(
            lambda: self._maker.make(place), place, self._proof_on(place), self, self._clock, self._options, self._say
        )
        self._ears[place] = ear
        self._unheard.add(ear)
        if self._owner is not None:
            self._owner.start(self._keep(ear), "ear")
        return ear

    async def _keep(self, ear: Ear) -> None:
        try:
            await ear.run()
        except Exception as error:  # noqa: BLE001 - it ends `run`
            self._fault = error
        finally:
            self._ended(ear)

    def _ended(self, ear: Ear) -> None:
        if self._owner is None or self._ears.get(ear.place) is not ear:
            return
        self._let_go(ear)
        self._lost("connection")
        if ear.refusal is not None:
            self._attempts.failed(ear.refusal)

    def _let_go(self, ear: Ear) -> None:
        """Of this ear, which hears no more; what it had is to be heard by another one."""
        del self._ears[ear.place]
        self._unheard.discard(ear)
        for channel, wish in list(self._wishes.items()):
            if wish.ear is ear:
                self._lose(channel)

    def _proof_on(self, place: Place) -> str:
        """A channel of a master on which nobody else speaks."""
        names = (f"proof:{{{self._token}:{number}}}" for number in itertools.count())
        return next(name for name in names if self._map.has(place, slot_of(name)))

    async def _say(self, channel: str, beat: bytes) -> None:
        command = ("SPUBLISH", channel, beat)
        if self._voice.post(packed([command]), 1, self._said, 0):
            return
        try:
            await self._voice.call(*command)
        except Unavailable:
            self._on_proof(None)

    def _said(self, _note: int, error: Exception | None) -> None:
        if error is not None:
            self._on_proof(None)

    def _look_again(self) -> None:
        self._pausing = True
        self._changed.set()

    # What the ears say

    def opened(self, ear: Ear) -> None:
        """See `Listener`."""
        for channel, wish in self._wishes.items():
            if wish.ear is ear:
                ear.order("SSUBSCRIBE", channel)

    def confirmed(self, ear: Ear, channel: str) -> None:
        """See `Listener`."""
        wish = self._wishes.get(channel)
        if channel == ear.proof:
            self._unheard.discard(ear)
        elif wish is not None and wish.ear is ear and not wish.confirmed.done():
            wish.confirmed.set_result(None)
            self._unheard.discard(channel)
        self._look_whether_restored()

    def taken_away(self, ear: Ear, channel: str) -> None:
        """See `Listener`."""
        wish = self._wishes.get(channel)
        if channel == ear.proof:
            self._unheard.add(ear)
        elif wish is not None and wish.ear is ear:
            self._lose(channel)
        else:
            return
        self._lost("moved")

    def proved(self, ear: Ear, round_trip_seconds: float) -> None:
        """See `Listener`."""
        self._heard_at[ear.place] = ear.heard_at
        self._on_proof(round_trip_seconds)

    def _lose(self, channel: str) -> None:
        """The channel is not heard any more; who waits for its confirmation waits on."""
        wish = self._wishes[channel]
        wish.ear = None
        if wish.confirmed.done():
            self._wishes[channel] = _Wish()
        self._unheard.add(channel)
        self._homeless.add(channel)

    def _lost(self, reason: str) -> None:
        self._map.doubted = True
        self._look_again()
        self._note_loss(reason)

    def _note_loss(self, reason: str) -> None:
        if self.restored:
            self.restored = False
            self.losses += 1
            _log.warning("bus_lost", reason=reason)

    def _look_whether_restored(self) -> None:
        if self.restored or self._unheard or not self._ears:
            return
        self._attempts.succeeded()
        self.restored = True
        self.restored_at = self._clock.monotonic()
        _log.info("bus_restored", channels=len(self._wishes), connections=len(self._ears))
        self._on_restored()
