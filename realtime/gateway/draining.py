"""A node that stops sends its clients away: not all at once, each at a time of its own that it is told before.

Promises: a client that goes by itself when it was told to is not cut before; what was taken from a client is
acknowledged before its close, if that can be done within a moment; however clients behave, `run` ends within its limit.
That nobody new is let in, and that what is acknowledged is kept, is seen to elsewhere.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from domain.kit.clock import Clock
from domain.kit.tasks import TaskOwner
from realtime.gateway.client import Client
from realtime.gateway.events.session import SESSION_DRAIN, SessionDrain
from realtime.gateway.gateway import Hooks
from realtime.wire.interface import STOPPING

CLIENTS_PER_SECOND = 1000
"""How many are sent away when there is time: what the nodes that stay let in with a third of a core."""
_MOST_SPREAD = 0.5
_MOST_SETTLE = 0.1
_MOST_OBEY = 0.05
"""Shares of the limit: for sending away, for what a client is still owed, for going by itself."""
_SETTLE_SECONDS = 1.0
_OBEY_SECONDS = 0.25
_STEPS = 100
_SHORTEST_STEP_SECONDS = 0.02
_LOOK_SECONDS = 0.01
_ANSWER_SECONDS = 0.05
_ANSWER_EARLY_SECONDS = 0.25
"""How often everything is acknowledged while clients go, and how long before the first of them."""
_SLICE = 200
"""Clients that are told before others get their turn."""


class Clients(Protocol):
    """Who is signed in (`Gateway`)."""

    def greeted(self) -> list[Client]:
        """Those that know that they are."""
        ...

    def join(self, hooks: Hooks) -> None:
        """Have `hooks` hear of those who sign in from now on."""
        ...

    def is_idle(self, client: Client) -> bool:
        """Whether no handler of the client runs."""
        ...

    def when_idle(self, client: Client, done: Callable[[], None]) -> None:
        """Call `done` once none does."""
        ...


class Pace(NamedTuple):
    """How quickly clients are sent away, in seconds."""

    spread: float
    """The last one is told to go after so long."""
    step: float
    """Those who are due are closed together, so often."""
    obey: float
    """Between the time that a client was told and its close."""
    settle: float
    """What a client that is due gets at most to have its answers."""


def pace_of(clients: int, limit_seconds: float) -> Pace:
    """The pace for so many: no slower than there is reason to, and within the limit."""
    spread = min(clients / CLIENTS_PER_SECOND, _MOST_SPREAD * limit_seconds)
    return Pace(
        spread,
        max(_SHORTEST_STEP_SECONDS, spread / _STEPS),
        min(_OBEY_SECONDS, _MOST_OBEY * limit_seconds),
        min(_SETTLE_SECONDS, _MOST_SETTLE * limit_seconds),
    )


class Draining:
    """One farewell to all clients of a node. As the gateway's hook it tells those who sign in meanwhile, too."""

    def __init__(
        self,
        clients: Clients,
        answer: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        notice_seconds: float = 0.0,
        limit_seconds: float,
        pace: Callable[[int, float], Pace] = pace_of,
    ) -> None:
        """`answer` has everything acknowledged that was accepted so far (the group commit).

        Nobody is told to go before `notice_seconds` have passed; the limit begins then.
        """
        self._clients = clients
        self._answer = answer
        self._clock = clock
        self._limit_seconds = limit_seconds
        self._begins_at = clock.monotonic() + notice_seconds
        self._pace_of = pace
        self._pace = pace(0, limit_seconds)
        self._until = self._begins_at
        self._owner = TaskOwner("draining")
        self._order = itertools.count()
        self._leaving: list[tuple[float, int, Client]] = []
        """Who goes when, by the monotonic clock: a heap."""

    async def run(self) -> None:
        """Tell everybody, and close everybody in turn."""
        async with self._owner as owner:
            await self._tell_all()
            answering = owner.start(self._keep_answering(), "answers")
            batches: list[asyncio.Task[None]] = []
            while self._leaving or self._clock.monotonic() < self._begins_at:
                await self._clock.sleep(self._pace.step)
                batches += [owner.start(self._send_away(clients), "batch") for clients in self._due()]
            await asyncio.gather(*batches)
            answering.cancel()
            await owner.drain(self._pace.settle)

    async def _keep_answering(self) -> None:
        """Nobody waits for a tick any more: who goes when it was told to has its answers, as who is closed has."""
        await self._clock.sleep(self._begins_at - _ANSWER_EARLY_SECONDS - self._clock.monotonic())
        while True:
            await self._answer_all()
            await self._clock.sleep(max(_ANSWER_SECONDS, self._pace.step))

    async def _answer_all(self) -> None:
        """Whoever does not wait for the end of it leaves it running."""
        await asyncio.shield(self._owner.start(_whole(self._answer), "commit"))

    def on_connect(self, client: Client) -> None:
        """Its CONNECT was on its way when the doors were closed."""
        now = self._clock.monotonic()
        begins_at = max(now, self._begins_at)
        self._tell(client, begins_at + max(0.0, self._until - begins_at) * _lot())

    def on_disconnect(self, client: Client) -> None:
        """It went by itself, or was sent away."""

    async def _tell_all(self) -> None:
        clients = self._clients.greeted()
        self._pace = self._pace_of(len(clients), self._limit_seconds)
        self._until = self._begins_at + self._pace.spread
        self._clients.join(self)
        random.shuffle(clients)
        for number, client in enumerate(clients, 1):
            # By lot, and evenly all the same: each has a slot of its own, and any time in it.
            self._tell(client, self._begins_at + (number - _lot()) / len(clients) * self._pace.spread)
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    def _tell(self, client: Client, goes_at: float) -> None:
        if client.closed:
            return
        after_seconds = max(0.0, goes_at - self._clock.monotonic())
        client.emit(SESSION_DRAIN, SessionDrain(round(after_seconds * 1000)))
        heapq.heappush(self._leaving, (goes_at + self._pace.obey, next(self._order), client))

    def _due(self) -> Iterator[list[Client]]:
        """Those whose time has come: together, but that each of the busy is on its own and keeps nobody."""
        now = self._clock.monotonic()
        ready: list[Client] = []
        while self._leaving and self._leaving[0][0] <= now:
            _, _, client = heapq.heappop(self._leaving)
            if client.closed:
                continue
            client.mute()
            if self._clients.is_idle(client):
                ready.append(client)
            else:
                yield [client]
        if ready:
            yield ready

    async def _send_away(self, clients: Sequence[Client]) -> None:
        """Have what they were promised go out, and close them."""
        try:
            async with asyncio.timeout(self._pace.settle):
                for client in clients:
                    await self._idle(client)
                await self._answer_all()
                await asyncio.sleep(0)  # what was committed is acknowledged in the next turn of the loop
                while clients := _close(clients, but_for=lambda client: client.backlog() > 0):
                    await self._clock.sleep(_LOOK_SECONDS)
        except TimeoutError:
            _close(clients)

    async def _idle(self, client: Client) -> None:
        if not self._clients.is_idle(client):
            idle = asyncio.Event()
            self._clients.when_idle(client, idle.set)
            await idle.wait()


def _lot() -> float:
    return random.random()  # noqa: S311 - it decides who goes first and nothing else


async def _whole(answer: Callable[[], Awaitable[None]]) -> None:
    await answer()


def _close(clients: Sequence[Client], *, but_for: Callable[[Client], bool] = lambda client: False) -> list[Client]:
    """Close these; those left that are not to be closed yet."""
    kept: list[Client] = []
    for client in clients:
        if but_for(client) and not client.closed:
            kept.append(client)
        else:
            client.close(STOPPING)
    return kept
